//! The file of the socket.

use super::*;

#[test]
fn socket_has_its_mode_and_goes_with_the_agent() {
    let tested = Loop::lines();
    let path = tested.directory.socket();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let Loop { server, directory, .. } = tested;
    drop(server);
    assert!(!path.exists());
    drop(directory);
}

#[test]
fn missing_directory_is_made_for_all_to_see() {
    let directory = Scratch::new();
    let path = directory.0.join("made/trigger.sock");
    let poll = Poll::new().unwrap();
    let socket = bind(&path, &poll).unwrap();
    let mode = fs::metadata(directory.0.join("made")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    assert!(path.exists());
    drop(socket);
}

#[test]
fn dead_socket_is_replaced_and_a_live_one_defended() {
    let directory = Scratch::new();
    let path = directory.socket();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let poll = Poll::new().unwrap();
    let _live = bind(&path, &poll).unwrap();
    let second = bind(&path, &poll).err().unwrap();
    let Error::AlreadyRunning { socket, pid } = second else { panic!("{second}") };
    assert_eq!((socket, pid), (path, Some(std::process::id())));
}

#[test]
fn agent_that_hangs_is_alive_as_well() {
    let directory = Scratch::new();
    let path = directory.socket();
    let poll = Poll::new().unwrap();
    let _hanging = bind(&path, &poll).unwrap();
    let mut queued = Vec::new();
    loop {
        let kind = socket2::Type::STREAM.nonblocking();
        let socket = socket2::Socket::new(socket2::Domain::UNIX, kind, None).unwrap();
        if socket.connect(&socket2::SockAddr::unix(&path).unwrap()).is_err() {
            break;
        }
        queued.push(socket);
    }
    let second = bind(&path, &poll).err().unwrap();
    assert!(matches!(second, Error::AlreadyRunning { pid: None, .. }), "{second}");
}

#[test]
fn path_that_comes_back_after_a_bad_one_keeps_the_socket_and_its_clients() {
    let mut tested = Loop::lines();
    let client = tested.connect();
    let bad = tested.directory.0.join("file");
    fs::write(&bad, "no socket").unwrap();
    tested.server.listen_lines(Some(&bad), tested.now);
    assert_eq!(tested.server.errors().count(), 1);
    let path = tested.directory.socket();
    tested.server.listen_lines(Some(&path), tested.now);
    assert_eq!(tested.server.errors().count(), 0);
    assert_eq!(tested.server.next_deadline(), None);
    client.ring(1);
    assert_eq!(tested.request(), RING);
}

#[test]
fn file_that_is_no_socket_is_kept() {
    let directory = Scratch::new();
    let path = directory.socket();
    fs::write(&path, "precious").unwrap();
    let poll = Poll::new().unwrap();
    let refused = bind(&path, &poll).unwrap();
    let error = refused.errors().next().unwrap();
    assert!(error.ends_with("another file is in its place"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[test]
fn socket_of_a_successor_is_kept() {
    let tested = Loop::lines();
    let path = tested.directory.socket();
    fs::remove_file(&path).unwrap();
    let _successor = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let Loop { server, directory, .. } = tested;
    drop(server);
    assert!(path.exists());
    drop(directory);
}
