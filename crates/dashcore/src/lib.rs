//! Dash wire types and codec for masternode-list and quorum synchronisation
