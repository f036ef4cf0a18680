//! A client that reads what Platform's SDK reads of a trusted server, as strictly as that does.

use std::collections::BTreeSet;

use dashcore::sml::llmq_type::LLMQType;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use spv_integration::client::At;

use crate::service::Service;
use crate::support::generated_world;
use crate::support::process::{Response, get};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer<T> {
    success: bool,
    data: T,
    message: Option<String>,
}

/// Numbers and texts of the SDK's own sizes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Quorum {
    quorum_hash: String,
    key: String,
    height: u64,
    members: Vec<String>,
    threshold_signature: String,
    mining_members_count: u32,
    valid_members_count: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Previous {
    height: u64,
    quorums: Vec<Quorum>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Evonode {
    #[serde(rename = "proTxHash")]
    pro_tx_hash: String,
    address: String,
    status: String,
    #[serde(rename = "versionCheck")]
    version_check: String,
    #[serde(rename = "platformHTTPPort")]
    platform_http_port: u16,
}

struct Sdk {
    service: Service,
}

impl Sdk {
    /// Joins its base and the path as the SDK does.
    fn fetch<T: DeserializeOwned>(&self, path: &str) -> T {
        let response = Response::to(self.service.address, &get(path)).unwrap();
        assert_eq!(response.status, 200, "{path}: {}", response.body);
        let answer: Answer<T> =
            serde_json::from_str(&response.body).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(answer.success && answer.message.is_none());
        answer.data
    }

    /// The key of a quorum that a proof names, from one of the two lists.
    fn key(&self, hash: &str) -> Option<String> {
        let lists = [self.fetch::<Vec<Quorum>>("/quorums"), self.fetch::<Previous>("/previous").quorums];
        lists.into_iter().flatten().find(|quorum| quorum.quorum_hash == hash).map(|quorum| quorum.key)
    }
}

fn names(quorums: &[Quorum]) -> BTreeSet<&str> {
    quorums.iter().map(|quorum| quorum.quorum_hash.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn platform_s_sdk_reads_what_it_reads_of_a_trusted_server() {
    let service = Service::start(|command| _ = command.arg("--platform-api")).await;
    service.wait_until_it_answers("/ready", 200);
    let (sdk, world) = (Sdk { service }, generated_world());
    let active: Vec<Quorum> = sdk.fetch("/quorums");
    assert!(!active.is_empty());
    for quorum in &active {
        let Quorum {
            height, members, threshold_signature, mining_members_count, valid_members_count, ..
        } = quorum;
        assert!(members.is_empty() && threshold_signature.is_empty(), "{quorum:?}");
        assert!(*mining_members_count >= 1 && *valid_members_count >= 1, "{quorum:?}");
        let base = world.block_hash(u32::try_from(*height).unwrap()).unwrap();
        assert_eq!((quorum.quorum_hash.clone(), quorum.key.len()), (base.to_string(), 96));
    }
    let previous: Previous = sdk.fetch("/previous");
    assert_eq!(previous.height, u64::from(world.tip()) - 8);
    assert!(names(&previous.quorums).len() > names(&active).len(), "those that retired are there too");
    let evonodes: Vec<Evonode> = sdk.fetch("/masternodes");
    assert!(!evonodes.is_empty());
    for node in &evonodes {
        assert_eq!(node.pro_tx_hash.len(), 64);
        let dialed = node.status == "ENABLED" && node.version_check == "success";
        // What the SDK dials.
        let (host, _) = node.address.rsplit_once(':').unwrap();
        assert!(
            !dialed || (host.parse::<std::net::IpAddr>().is_ok() && node.platform_http_port > 0),
            "{node:?}"
        );
        assert!(["ENABLED", "POSE_BANNED"].contains(&node.status.as_str()));
    }
    assert!(evonodes.iter().any(|node| node.version_check == "success"));

    let one: Quorum = sdk.fetch(&format!("/quorums/{}", active[0].quorum_hash));
    assert_eq!(one.key, active[0].key);
    let active_names = names(&active);
    let retired =
        previous.quorums.iter().find(|quorum| !active_names.contains(quorum.quorum_hash.as_str())).unwrap();
    assert_eq!(sdk.fetch::<Quorum>(&format!("/quorums/{}", retired.quorum_hash)).key, retired.key);
    assert_eq!(sdk.key(&retired.quorum_hash).as_ref(), Some(&retired.key));
    let nobody = Response::to(sdk.service.address, &get(&format!("/quorums/{}", "07".repeat(32)))).unwrap();
    let answer: Answer<Option<Quorum>> = serde_json::from_str(&nobody.body).unwrap();
    assert_eq!((nobody.status, answer.success), (404, false));
    assert!(answer.data.is_none() && answer.message.is_some());
    let unreadable = Response::to(sdk.service.address, &get("/quorums/xyz")).unwrap();
    assert!(unreadable.status == 400 && unreadable.body.contains("\"success\":false"), "{unreadable:?}");

    // What was given out is what the library says is verified, and no more.
    let (_, data) = sdk.service.stop("-TERM").await;
    let config =
        spv_integration::Config { network: "regtest".to_owned(), ..spv_integration::Config::default() };
    let store = std::sync::Arc::new(spv_integration::store::Store::open(data.path()).unwrap());
    let client = spv_integration::Client::new(world.params().clone(), config, store).unwrap();
    let tip = client.state(At::Newest).await.unwrap().height();
    let of_platform = client.quorums(tip).await.unwrap();
    let of_platform = of_platform.iter().filter(|quorum| quorum.entry.llmq_type == LLMQType(106));
    let expected: BTreeSet<String> = of_platform
        .filter(|quorum| quorum.proof().is_usable())
        .map(|quorum| quorum.entry.quorum_hash.to_string())
        .collect();
    assert_eq!(names(&active), expected.iter().map(String::as_str).collect());
    for quorum in active.iter().chain(&previous.quorums) {
        let signer = client.platform_signer(quorum.quorum_hash.parse().unwrap(), tip - 8).await;
        let signer = match signer {
            Ok(signer) => signer,
            // Mined in the last 8 blocks.
            Err(_) => client.platform_signer(quorum.quorum_hash.parse().unwrap(), tip).await.unwrap(),
        };
        assert_eq!(signer.public_key().to_string(), quorum.key);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_not_verified_are_not_given_out() {
    let service =
        Service::start(|command| _ = command.args(["--platform-api", "--skip-quorum-signatures"])).await;
    service.wait_until_it_answers("/ready", 200);
    let sdk = Sdk { service };
    assert!(sdk.fetch::<Vec<Quorum>>("/quorums").is_empty());
    assert!(sdk.fetch::<Previous>("/previous").quorums.is_empty());
    sdk.service.end("-TERM").await;
}
