//! What is each peer worth: RTT, throughput, reliability
