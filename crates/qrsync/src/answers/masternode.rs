use std::borrow::Cow;
use std::collections::BTreeSet;

use dashcore::ProTxHash;
use dashcore::hash_types::{ConfirmedHash, PubkeyHash};
use dashcore::sml::address::{NetInfoEntry, NetInfoPurpose, ServiceAddress};
use dashcore::sml::masternode_list_entry::{EntryMasternodeType, MasternodeListEntry};
use serde::{Deserialize, Serialize};
use spv_masternodes::MasternodeList;

/// A masternode as a list has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Masternode {
    pub(crate) pro_tx_hash: ProTxHash,
    pub(crate) confirmed_hash: Option<ConfirmedHash>,
    pub(crate) service: String,
    pub(crate) pub_key_operator: String,
    pub(crate) key_id_voting: PubkeyHash,
    pub(crate) valid: bool,
    #[serde(rename = "type")]
    pub(crate) kind: Cow<'static, str>,
    /// What an EvoNode's entry says of Platform; `null` of others, and where the entry, of version 1, does not say it.
    pub(crate) platform: Option<Platform>,
    /// All addresses of an extended entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) addresses: Vec<Address>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Platform {
    /// As RPC prints it, and Platform's nodes call themselves: the bytes of the entry in reverse.
    pub(crate) node_id: String,
    /// Port of the HTTPS API; `null` where no address is announced for it.
    pub(crate) http_port: Option<u16>,
    /// Port of Platform's P2P protocol, which only extended entries announce.
    pub(crate) p2p_port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) purpose: String,
    pub(crate) address: String,
}

impl Masternode {
    /// All masternodes of a list. `known_evo` are the EvoNodes that earlier lists show, because the entry of a banned one
    /// may not say its type.
    pub(crate) fn all<'a>(
        list: &'a MasternodeList,
        known_evo: &'a BTreeSet<ProTxHash>,
    ) -> impl Iterator<Item = Self> + 'a {
        let shaped = |entry: &MasternodeListEntry| {
            Self::new(entry, entry.is_evo() || known_evo.contains(&entry.pro_reg_tx_hash))
        };
        list.iter().map(shaped)
    }

    pub(crate) fn new(entry: &MasternodeListEntry, is_evo: bool) -> Self {
        Self {
            pro_tx_hash: entry.pro_reg_tx_hash,
            confirmed_hash: entry.confirmed_hash,
            service: entry.service_address.to_string(),
            pub_key_operator: entry.operator_public_key.to_string(),
            key_id_voting: entry.key_id_voting,
            valid: entry.is_valid,
            kind: if is_evo { EVO } else { REGULAR }.into(),
            platform: Platform::of(entry),
            addresses: addresses(entry),
        }
    }

    pub(crate) fn is_evo(&self) -> bool {
        self.kind == EVO
    }

    pub(crate) fn state(&self) -> &'static str {
        if self.valid { "valid" } else { "banned" }
    }

    /// Whether one of its addresses is of this IP, and of this port where one is given.
    pub(crate) fn has_address(&self, ip: std::net::IpAddr, port: Option<u16>) -> bool {
        let all = self.addresses.iter().map(|one| &one.address).chain([&self.service]);
        all.filter_map(|address| address.parse::<std::net::SocketAddr>().ok())
            .any(|address| address.ip() == ip && port.is_none_or(|port| port == address.port()))
    }
}

impl Platform {
    fn of(entry: &MasternodeListEntry) -> Option<Self> {
        let EntryMasternodeType::HighPerformance { platform_http_port, platform_node_id } = &entry.mn_type
        else {
            return None;
        };
        let port = |purpose| match &entry.service_address {
            ServiceAddress::Extended(info) => {
                info.iter().filter(|(of, _)| *of == purpose).find_map(|(_, address)| address.port())
            }
            ServiceAddress::Socket(_) => None,
        };
        Some(Self {
            node_id: platform_node_id
                .to_byte_array()
                .iter()
                .rev()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            // Of a banned node it is 0 until it announces itself anew.
            http_port: platform_http_port
                .or_else(|| port(NetInfoPurpose::PlatformHttps))
                .filter(|&port| port > 0),
            p2p_port: port(NetInfoPurpose::PlatformP2p),
        })
    }

    /// For a person.
    pub(crate) fn text(&self) -> String {
        let port = |port: Option<u16>| port.map_or_else(|| "-".to_owned(), |port| port.to_string());
        format!("node {}, HTTP port {}, P2P port {}", self.node_id, port(self.http_port), port(self.p2p_port))
    }
}

fn addresses(entry: &MasternodeListEntry) -> Vec<Address> {
    let ServiceAddress::Extended(info) = &entry.service_address else { return Vec::new() };
    let address = |(purpose, address): (NetInfoPurpose, NetInfoEntry)| Address {
        purpose: purpose.to_string(),
        address: address.to_string(),
    };
    info.iter().map(address).collect()
}

const EVO: &str = "Evo";
const REGULAR: &str = "Regular";
