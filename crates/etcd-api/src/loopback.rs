//! Where k3s's etcd serves clients on its own machine: on the loopback of one family, that of the first range of Services.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Of clients.
const PORT: u16 = 2379;
/// A loopback answers at once, or nobody listens.
const KNOCK: Duration = Duration::from_secs(2);

/// The endpoint that is given, or the loopback on which etcd listens here.
pub fn endpoint(given: Option<&str>) -> String {
    given.map_or_else(|| listening(PORT), str::to_owned)
}

/// Where nobody listens, that of most clusters: a report then names one address.
fn listening(port: u16) -> String {
    let (usual, other) = (
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    );
    let listens = |address: &SocketAddr| TcpStream::connect_timeout(address, KNOCK).is_ok();
    let address = if !listens(&usual) && listens(&other) {
        other
    } else {
        usual
    };
    format!("https://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn an_endpoint_that_is_given_is_the_one() {
        assert_eq!(endpoint(Some("https://10.0.0.1:2379")), "https://10.0.0.1:2379");
    }

    #[test]
    fn etcd_is_found_on_the_loopback_of_either_family() {
        let on_v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        let port = on_v6.local_addr().unwrap().port();
        assert_eq!(listening(port), format!("https://[::1]:{port}"));
        // With both it is IPv4, which k3s takes wherever that comes first.
        let on_v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert_eq!(listening(port), format!("https://127.0.0.1:{port}"));
        drop((on_v4, on_v6));
        assert_eq!(listening(port), format!("https://127.0.0.1:{port}"));
    }
}
