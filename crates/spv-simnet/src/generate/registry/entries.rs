//! What entries look like, and how masternodes change them.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};

use dashcore::bls_sig_utils::BLSPublicKey;
use dashcore::hash_types::PubkeyHash;
use dashcore::sml::address::{ExtendedNetInfo, NetInfoEntry, NetInfoPurpose, ServiceAddress};
use dashcore::sml::masternode_list_entry::{EntryMasternodeType, MasternodeListEntry};

use super::Sources;
use crate::generate::keys;
use crate::generate::random;

pub(super) fn evo_node(rng: &mut fastrand::Rng, is_extended: bool) -> EntryMasternodeType {
    EntryMasternodeType::HighPerformance {
        platform_http_port: (!is_extended).then_some(PLATFORM_HTTP_PORT),
        platform_node_id: PubkeyHash::from_byte_array(random::hash(rng)),
    }
}

/// More addresses than one for the P2P protocol, of several networks, and a name for Platform.
pub(super) fn extended_address(socket: SocketAddr, number: u32) -> ServiceAddress {
    let hidden = |network: u8| {
        let address = [&[network; 28][..], &number.to_be_bytes()].concat();
        NetInfoEntry::Service { network, address, port: CORE_PORT }
    };
    let name = format!("evo-{number}.example");
    let addresses = BTreeMap::from([
        (NetInfoPurpose::CoreP2p, vec![socket.into(), hidden(TOR_V3), hidden(I2P)]),
        (NetInfoPurpose::PlatformHttps, vec![NetInfoEntry::Domain { name, port: PLATFORM_HTTP_PORT }]),
    ]);
    ServiceAddress::Extended(ExtendedNetInfo::new(&addresses))
}

/// A new operator key resets what the operator had set, and disables until the new operator announces itself.
pub(super) fn replace_operator(
    entry: &mut MasternodeListEntry,
    Sources { keys: ring, rng }: &mut Sources<'_>,
) {
    clear_service(entry);
    let key = ring.make(rng);
    entry.operator_public_key = if entry.version == LEGACY_BLS { keys::to_legacy(&key) } else { key };
}

pub(super) fn clear_service(entry: &mut MasternodeListEntry) {
    entry.is_valid = false;
    entry.service_address = match entry.version {
        EXTENDED => ServiceAddress::Extended(ExtendedNetInfo::new(&BTreeMap::new())),
        _ => ServiceAddress::Socket(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))),
    };
    if let EntryMasternodeType::HighPerformance { platform_http_port, platform_node_id } = &mut entry.mn_type
    {
        *platform_http_port = platform_http_port.map(|_| 0);
        *platform_node_id = PubkeyHash::all_zeros();
    }
}

/// A revocation takes the entry back to its first version, which has neither key nor kind.
pub(super) fn revoke(entry: &mut MasternodeListEntry) {
    entry.version = LEGACY_BLS;
    clear_service(entry);
    entry.operator_public_key = BLSPublicKey::default();
    entry.mn_type = EntryMasternodeType::Regular;
}

pub(super) const LEGACY_BLS: u16 = 1;
pub(super) const BASIC_BLS: u16 = 2;
pub(super) const EXTENDED: u16 = 3;
/// Networks of BIP155.
const TOR_V3: u8 = 4;
const I2P: u8 = 5;
pub(super) const CORE_PORT: u16 = 19_899;
const PLATFORM_HTTP_PORT: u16 = 22_200;
