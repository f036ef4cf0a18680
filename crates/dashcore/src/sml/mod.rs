//! Simplified masternode lists.

pub mod address;
pub mod llmq_type;
pub mod masternode_list_entry;
