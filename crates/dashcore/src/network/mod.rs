//! The Dash P2P protocol.

mod command;
pub mod framing;
pub mod message;
pub mod message_addrv2;
pub mod message_blockdata;
pub mod message_headers2;
pub mod message_network;
pub mod message_qrinfo;
pub mod message_sml;
