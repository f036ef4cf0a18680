//! A server that has some of the keys, and takes a few milliseconds for each request.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub async fn start(has: impl Fn(&str) -> bool + Copy + Send + Sync + 'static) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, has));
        }
    });
    Ok(address)
}

async fn serve(stream: TcpStream, has: impl Fn(&str) -> bool) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match line.split_once(' ') {
            Some(("GET", key)) => {
                tokio::time::sleep(Duration::from_millis(2)).await;
                if !has(key) {
                    continue;
                }
                format!("VALUE {key} value-of-{key}\n")
            }
            Some(("PING", nonce)) => format!("PONG {nonce}\n"),
            _ => break,
        };
        writer.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}
