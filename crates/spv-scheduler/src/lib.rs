//! What may run now: priorities, readiness, rate limits
