//! A key-value store on three servers over TCP, asked through spv-executor, with answers matched by spv-correlation.
//!
//! The protocol has lines of text. `GET key` is answered with `VALUE key value`, or with nothing when the server does not
//! have the key. `PING n` is answered with `PONG n`. There are no request ids, and no "not found": without the fence, a
//! missing key would cost a timeout. With it, it costs one round trip.

mod connection;
mod server;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use spv_executor::{Config, Depth, Executor, Transport};

use connection::{Connection, GetError};

/// Connections by the server's address.
struct Servers(BTreeMap<SocketAddr, Connection>);

impl Transport for Servers {
    type Peer = SocketAddr;
    type Request = String;
    type Response = Option<String>;
    type Error = GetError;

    async fn send(&self, server: &SocketAddr, key: String) -> Result<Option<String>, GetError> {
        let connection = self.0.get(server).ok_or(GetError::NotConnected)?;
        connection.get(key).await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut connections = BTreeMap::new();
    for index in 0..SERVERS {
        // Every server lacks a third of the keys.
        let has = move |key: &str| key.parse::<usize>().is_ok_and(|number| number % SERVERS != index);
        let address = server::start(has).await?;
        connections.insert(address, Connection::open(address, index as u64).await?);
    }
    let addresses: Vec<_> = connections.keys().copied().collect();
    let executor = Executor::new(Servers(connections), Config::default())?;
    for address in addresses {
        executor.add_peer(address, Depth::THREE);
    }

    let begin = Instant::now();
    let keys: Vec<String> = (0..KEYS).map(|number| number.to_string()).collect();
    let mut missed = 0;
    for (key, result) in keys.iter().zip(executor.run(keys.clone()).await) {
        let mut answer = result?;
        if answer.response.is_none() {
            missed += 1;
            // Not to have a key is no fault.
            answer.permit.accept();
            let lacks_it = answer.peer;
            answer = executor.execute_where(key.clone(), move |server| *server != lacks_it).await?;
        }
        assert_eq!(answer.response, Some(format!("value-of-{key}")));
        answer.permit.accept();
    }
    executor.close().await;
    let took = begin.elapsed().as_millis();
    println!(
        "key-value: {KEYS} keys in {took} ms, of which {missed} were not where they were asked for first"
    );
    Ok(())
}

const SERVERS: usize = 3;
const KEYS: usize = 60;
