use super::*;

#[test]
fn port_in_use_is_reported_and_tried_again() {
    let other = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = other.local_addr().unwrap();
    let mut tested = Loop::http();
    tested.listen(&address.to_string(), None);
    let error = tested.error().unwrap();
    assert!(error.contains(&format!("{address} is in use by another program: ")), "{error}");
    for wait in [1, 2, 4, 5, 5] {
        let due = tested.server.next_deadline().unwrap();
        assert_eq!(due - tested.now, Duration::from_secs(wait));
        tested.pass(due - tested.now);
        assert!(tested.error().is_some());
    }
    drop(other);
    tested.pass(Duration::from_secs(5));
    assert_eq!(tested.error(), None);
    assert_eq!(tested.http_address(), Some(address));
    let _client = tested.ask(STATUS);
    assert_eq!(tested.request().ask, Ask::Status);
}

#[test]
fn port_of_a_former_agent_is_free_at_once() {
    let mut tested = Loop::http();
    let address = tested.http_address();
    let mut client = tested.ask(STATUS);
    let request = tested.request();
    // We end the connection first: its port stays in TIME_WAIT on our side.
    tested.reply(&request, b"{}");
    tested.text(&mut client);
    drop(client);
    let mut successor = Loop::http();
    drop(tested);
    successor.listen(&address.unwrap().to_string(), None);
    assert_eq!(successor.error(), None);
}

#[test]
fn other_machines_are_listened_to_only_with_a_token() {
    let mut tested = Loop::http();
    tested.listen("0.0.0.0:0", None);
    let error = tested.error().unwrap();
    assert!(error.contains("set status_token as well"), "{error}");
    assert_eq!(tested.http_address(), None);
    assert_eq!(tested.server.next_deadline(), None);
    tested.listen("0.0.0.0:0", Some("a token of sorts"));
    assert_eq!(tested.error(), None);
    assert!(tested.http_address().unwrap().ip().is_unspecified());
    tested.listen("0.0.0.0:0", None);
    assert_eq!(tested.http_address(), None);
}

#[test]
fn same_address_keeps_the_socket_and_none_closes_it() {
    let mut tested = Loop::http();
    let before = tested.http_address();
    tested.listen("127.0.0.1:0", None);
    assert_eq!(tested.http_address(), before);
    tested.listen("127.0.0.1:0", Some("a token of sorts"));
    assert_eq!(tested.http_address(), before);
    tested.server.listen_http(None, None, tested.now);
    assert_eq!(tested.http_address(), None);
    assert!(TcpStream::connect(before.unwrap()).is_err());
}

#[test]
fn unix_socket_serves_whoever_may_open_it() {
    use std::os::unix::fs::PermissionsExt;
    let directory = Scratch::new();
    let path = directory.0.join("http.sock");
    let mut tested = Loop::http();
    let before = tested.http_address().unwrap();
    // The token is for TCP.
    tested.listen(&format!("unix:{}", path.display()), Some("the-token"));
    assert_eq!(tested.error(), None);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    assert!(TcpStream::connect(before).is_err());
    let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    client.write_all(STATUS.replace("localhost", "any.name").as_bytes()).unwrap();
    let request = tested.request();
    let large = vec![b' '; 4 << 20];
    tested.reply(&request, &large);
    assert!(tested.is_answering());
    client.set_nonblocking(true).unwrap();
    let (mut answer, mut piece, mut turns) = (Vec::new(), [0; 10_000], 0);
    loop {
        match client.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tested.turn(Duration::from_millis(100));
                turns += 1;
                assert!(turns < 1_000, "{} bytes", answer.len());
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(answer.ends_with(&large));
    tested.listen("127.0.0.1:0", None);
    assert!(!path.exists());
}

#[test]
fn unix_socket_whose_file_is_gone_is_made_again_and_one_in_use_is_reported() {
    let directory = Scratch::new();
    let path = directory.0.join("http.sock");
    let place = format!("unix:{}", path.display());
    let mut tested = Loop::http();
    tested.listen(&place, None);
    tested.server.poll_files(tested.now);
    fs::remove_file(&path).unwrap();
    tested.server.poll_files(tested.now);
    assert!(path.exists());
    let mut other = Loop::http();
    other.listen(&place, None);
    let listen_error = other.error().unwrap();
    assert!(
        listen_error.contains("another agent, process ") && listen_error.contains(&place),
        "{listen_error}"
    );
    drop(tested);
    other.pass(Duration::from_secs(5));
    assert_eq!(other.error(), None);
    drop(other);
    assert!(!path.exists());
}
