//! Slow clients, and more of them than there are places.

use super::*;

#[test]
fn slow_head_is_cut_off_and_a_silent_connection_closed() {
    let mut tested = Loop::http();
    let mut slow = tested.ask("GET /");
    let mut silent = tested.connect_http();
    while tested.connected() < 2 {
        tested.turn(PATIENCE);
    }
    // The bytes are there by the second turn at the latest.
    tested.turn(PATIENCE);
    tested.pass(Duration::from_secs(2));
    assert!(tested.text(&mut slow).starts_with("HTTP/1.1 408 "));
    assert_eq!(tested.text(&mut silent), "");
}

#[test]
fn client_that_does_not_go_is_cut_off() {
    let mut tested = Loop::http();
    let client = tested.ask(STATUS);
    let request = tested.request();
    tested.reply(&request, b"{}");
    assert_eq!(tested.connected(), 1);
    tested.pass(Duration::from_secs(2));
    assert_eq!(tested.connected(), 0);
    drop(client);
}

#[test]
fn client_that_talks_on_after_its_answer_is_cut_off() {
    let mut tested = Loop::http();
    let mut client = tested.ask(STATUS);
    let request = tested.request();
    tested.reply(&request, b"{}");
    for _ in 0..1000 {
        if tested.connected() == 0 {
            return;
        }
        assert!(client.write(&[b'x'; 4096]).is_ok());
        tested.turn(PATIENCE);
    }
    panic!("the client is still listened to");
}

#[test]
fn more_connections_than_slots_wait_for_their_turn() {
    let mut tested = Loop::http();
    let mut clients: Vec<_> = (0..12).map(|_| tested.ask(STATUS)).collect();
    let mut requests = Vec::new();
    while requests.len() < HTTP_CLIENTS_MAX {
        requests.extend(tested.turn(PATIENCE));
    }
    assert_eq!(tested.connected(), HTTP_CLIENTS_MAX);
    assert_eq!(tested.pending(), [], "full, and yet visited again and again");
    // A client that has ended its side is gone with its answer: no readiness reports the room.
    for (client, request) in clients.iter().zip(&requests) {
        client.shutdown(Shutdown::Write).unwrap();
        tested.reply(request, b"{}");
    }
    assert_eq!(tested.pending(), [HTTP_FIRST]);
    let mut served = HTTP_CLIENTS_MAX;
    while served < clients.len() {
        for request in tested.turn(PATIENCE) {
            tested.reply(&request, b"{}");
            served += 1;
        }
    }
    for client in &mut clients {
        assert_eq!(body(&tested.text(client)), "{}");
    }
}

#[test]
fn silent_connections_keep_nobody_out() {
    let mut tested = Loop::http();
    let silent: Vec<_> = (0..HTTP_CLIENTS_MAX).map(|_| tested.connect_http()).collect();
    while tested.connected() < silent.len() {
        tested.turn(PATIENCE);
    }
    tested.pass(Duration::from_millis(250));
    for _ in 0..3 {
        let mut client = tested.ask(STATUS);
        let request = tested.request();
        tested.reply(&request, b"{}");
        assert_eq!(body(&tested.text(&mut client)), "{}");
    }
    assert!(tested.connected() >= silent.len() - 3, "more went than had to");
}

#[test]
fn queued_connection_has_its_turn_although_the_room_for_it_came_later() {
    let mut tested = Loop::http();
    let _clients: Vec<_> = (0..=HTTP_CLIENTS_MAX).map(|_| tested.ask(STATUS)).collect();
    let mut requests = Vec::new();
    while requests.len() < HTTP_CLIENTS_MAX {
        requests.extend(tested.turn(PATIENCE));
    }
    assert_eq!(tested.pending(), []);
    // All were owed an answer when it came. One has its own now, and does not go.
    tested.reply(&requests[0], b"{}");
    let moment = Duration::from_millis(250);
    assert_eq!(
        (tested.pending(), tested.server.next_deadline()),
        (vec![], Some(tested.now + moment))
    );
    tested.pass(moment);
    assert_eq!(tested.pending(), [HTTP_FIRST]);
    assert_eq!(tested.request().ask, Ask::Status);
}

#[test]
fn flood_of_connections_is_paused() {
    let mut tested = Loop::http();
    let mut accepted = 0;
    for _ in 0..100 {
        let client = tested.connect_http();
        tested.turn(Duration::from_millis(1));
        accepted += tested.connected();
        drop(client);
        while tested.connected() > 0 {
            tested.turn(PATIENCE);
        }
        if tested.server.next_deadline().is_some() {
            break;
        }
    }
    assert!((8..=16).contains(&accepted), "{accepted}");
    assert_eq!(tested.pending(), []);
    tested.pass(Duration::from_millis(250));
    assert_eq!(tested.pending(), [HTTP_FIRST]);
}
