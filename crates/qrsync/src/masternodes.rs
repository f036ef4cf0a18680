use dashcore::hash_types::{ConfirmedHash, PubkeyHash};
use dashcore::sml::address::{NetInfoEntry, NetInfoPurpose, ServiceAddress};
use dashcore::sml::masternode_list_entry::{EntryMasternodeType, MasternodeListEntry};
use dashcore::{BlockHash, ProTxHash};
use serde::Serialize;
use spv_integration::counted;

use crate::args::{MasternodeArgs, QueryArgs};
use crate::exit::Exit;
use crate::output;
use crate::query::open;

#[derive(Serialize)]
struct Masternodes {
    height: u32,
    block_hash: BlockHash,
    merkle_root: String,
    count: usize,
    valid: usize,
    evo: usize,
    masternodes: Vec<Masternode>,
}

#[derive(Serialize)]
struct One {
    height: u32,
    block_hash: BlockHash,
    masternode: Masternode,
}

#[derive(Serialize)]
struct Masternode {
    pro_tx_hash: ProTxHash,
    confirmed_hash: Option<ConfirmedHash>,
    service: String,
    pub_key_operator: String,
    key_id_voting: PubkeyHash,
    valid: bool,
    #[serde(rename = "type")]
    kind: &'static str,
    /// What an EvoNode's entry says of Platform; `null` of others, and where the entry, of version 1, does not say it.
    platform: Option<Platform>,
    /// All addresses of an extended entry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<Address>,
}

#[derive(Serialize)]
struct Platform {
    /// As RPC prints it, and Platform's nodes call themselves: the bytes of the entry in reverse.
    node_id: String,
    /// Port of the HTTPS API; `null` where no address is announced for it.
    http_port: Option<u16>,
    /// Port of Platform's P2P protocol, which only extended entries announce.
    p2p_port: Option<u16>,
}

#[derive(Serialize)]
struct Address {
    purpose: String,
    address: String,
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
    fn text(&self) -> String {
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

impl Masternode {
    fn new(entry: &MasternodeListEntry, is_evo: bool) -> Self {
        Self {
            pro_tx_hash: entry.pro_reg_tx_hash,
            confirmed_hash: entry.confirmed_hash,
            service: entry.service_address.to_string(),
            pub_key_operator: entry.operator_public_key.to_string(),
            key_id_voting: entry.key_id_voting,
            valid: entry.is_valid,
            kind: if is_evo { EVO } else { REGULAR },
            platform: Platform::of(entry),
            addresses: addresses(entry),
        }
    }

    fn state(&self) -> &'static str {
        if self.valid { "valid" } else { "banned" }
    }
}

pub(crate) async fn masternodes(args: QueryArgs) -> anyhow::Result<Exit> {
    let client = open(&args.data)?;
    let state = client.state(args.at()).await?;
    // A revoked EvoNode's entry does not say its type, but earlier lists did.
    let known_evo = client.store().evo_nodes(state.height())?;
    let list = state.masternodes();
    let masternodes: Vec<Masternode> = list
        .iter()
        .map(|entry| Masternode::new(entry, entry.is_evo() || known_evo.contains(&entry.pro_reg_tx_hash)))
        .collect();
    let answer = Masternodes {
        height: state.height(),
        block_hash: state.block_hash(),
        merkle_root: list.merkle_root().to_string(),
        count: list.len(),
        valid: list.valid_count(),
        evo: masternodes.iter().filter(|masternode| masternode.kind == EVO).count(),
        masternodes,
    };
    if args.data.json {
        output::json(&answer)?;
        return Ok(Exit::Ok);
    }
    let mut text = format!(
        "{} at height {} ({}): {} valid, {} Evo; merkle root {}",
        counted(answer.count, "masternode"),
        answer.height,
        answer.block_hash,
        answer.valid,
        answer.evo,
        answer.merkle_root
    );
    for masternode in &answer.masternodes {
        text.push_str(&format!(
            "\n{}  {:6}  {:7}  {}",
            masternode.pro_tx_hash,
            masternode.state(),
            masternode.kind,
            masternode.service
        ));
        if let Some(platform) = &masternode.platform {
            text.push_str(&format!("  Platform: {}", platform.text()));
        }
    }
    output::text(&text)?;
    Ok(Exit::Ok)
}

pub(crate) async fn masternode(args: MasternodeArgs) -> anyhow::Result<Exit> {
    let client = open(&args.query.data)?;
    let found = client.masternode(args.pro_tx_hash, args.query.at()).await?;
    let masternode = Masternode::new(&found.entry, found.is_evo);
    if args.query.data.json {
        let (height, block_hash) = (found.height, found.block_hash);
        output::json(&One { height, block_hash, masternode })?;
        return Ok(Exit::Ok);
    }
    let confirmed = masternode.confirmed_hash.map_or_else(|| "not yet".to_owned(), |hash| hash.to_string());
    let platform = masternode.platform.as_ref().map_or_else(|| "-".to_owned(), Platform::text);
    let addresses = masternode.addresses.iter().map(|one| format!("\n  {:14}{}", one.purpose, one.address));
    let addresses: String = addresses.collect();
    output::text(&format!(
        "masternode    {}\nproven at     height {} ({})\nstate         {}\ntype          {}\nservice       {}{addresses}\n\
         Platform      {platform}\noperator key  {}\nvoting key    {}\nconfirmed at  {confirmed}",
        masternode.pro_tx_hash,
        found.height,
        found.block_hash,
        masternode.state(),
        masternode.kind,
        masternode.service,
        masternode.pub_key_operator,
        masternode.key_id_voting,
    ))?;
    Ok(Exit::Ok)
}

const EVO: &str = "Evo";
const REGULAR: &str = "Regular";
