use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use super::conversation::Via;
use super::state::App;
use super::v1::refuse;
use crate::answers::Problem;

/// Refuses requests whose `Host` is not this service's. Otherwise a web page whose name leads to this address (DNS
/// rebinding) could read the answers in its visitor's browser. The paths for supervisors and scrapers are exempt: they
/// are asked under other names, and say nothing about peers.
pub(super) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    let is_open = OPEN_PATHS.contains(&request.uri().path());
    let via = request.extensions().get::<Via>().copied().unwrap_or(Via::Socket);
    if is_open || is_meant(via, request.uri(), request.headers(), &app.settings.hosts) {
        return next.run(request).await;
    }
    refuse(&Problem::new(
        "wrong_host",
        "the Host of this request is none of this service's; name further ones in api.hosts of the configuration",
    ))
}

const OPEN_PATHS: [&str; 3] = ["/health", "/metrics", "/ready"];

/// Whether everything that names a host names this one.
fn is_meant(via: Via, uri: &Uri, headers: &HeaderMap, hosts: &[String]) -> bool {
    let Via::Tcp { local } = via else { return true };
    let is_ours = |authority: &Authority| {
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        match host.parse::<IpAddr>() {
            Ok(ip) => {
                ip.is_loopback() || ip.to_canonical() == local.ip().to_canonical() || named(host, hosts)
            }
            Err(_) => host.eq_ignore_ascii_case("localhost") || named(host, hosts),
        }
    };
    let mut given = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (given.next(), given.next()) else { return false };
    let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    host.as_ref().is_some_and(is_ours) && uri.authority().is_none_or(is_ours)
}

fn named(host: &str, hosts: &[String]) -> bool {
    hosts.iter().any(|name| name.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_service_are_meant_for_it() {
        let via = Via::Tcp { local: "10.0.0.5:9184".parse().unwrap() };
        let hosts = ["qrsync.example".to_owned()];
        let check = |uri: &str, host: &[&str]| {
            let mut headers = HeaderMap::new();
            host.iter().for_each(|host| _ = headers.append(header::HOST, host.parse().unwrap()));
            is_meant(via, &uri.parse().unwrap(), &headers, &hosts)
        };
        for host in [
            "localhost",
            "LOCALHOST:9184",
            "localhost.",
            "127.0.0.1:80",
            "127.8.9.1",
            "[::1]:9184",
            "10.0.0.5:9184",
            "qrsync.example",
            "Qrsync.Example:443",
        ] {
            assert!(check("/v1/status", &[host]), "{host}");
        }
        for host in [
            "attacker.example",
            "attacker.example:9184",
            "localhost.attacker.example",
            "10.0.0.6",
            "0.0.0.0",
            "127.0.0.1.attacker.example",
            "",
            "user@attacker.example",
            "localhost/..",
        ] {
            assert!(!check("/v1/status", &[host]), "{host}");
        }
        assert!(!check("/v1/status", &[]));
        assert!(!check("/v1/status", &["localhost", "attacker.example"]));
        assert!(!check("http://attacker.example/v1/status", &["localhost"]));
        assert!(check("http://localhost/v1/status", &["localhost"]));
        let headers = HeaderMap::new();
        assert!(is_meant(Via::Socket, &"/".parse().unwrap(), &headers, &[]), "no browser reaches a socket");
    }
}
