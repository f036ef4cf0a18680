//! Verified masternode lists and quorums of Dash: apply, prove, look up
