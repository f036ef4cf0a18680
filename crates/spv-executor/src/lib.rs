//! Run many requests over many peers: caps, peer selection, timeouts, progress
