//! It failed: retry, switch peer, fall back, stop
