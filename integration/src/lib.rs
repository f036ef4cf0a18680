//! qrsync
