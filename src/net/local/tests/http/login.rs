use super::*;

/// The lines of a head that begin so.
fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn browser_is_led_to_the_form_and_back_with_a_cookie() {
    let mut tested = Loop::http();
    tested.listen("127.0.0.1:0", Some("the token"));
    let mut get = |request: &str| {
        let mut client = tested.ask(request);
        tested.text(&mut client)
    };
    let head = "HEAD / HTTP/1.1\r\nHost: camera.local\r\nAccept-Encoding: gzip\r\n";
    let page = |cookie: &str| format!("{head}{cookie}\r\n");
    let answer = get(&page(""));
    assert!(answer.starts_with("HTTP/1.1 303 See Other\r\n"), "{answer}");
    assert_eq!(field(&answer, "Location"), Some("/login"));
    let form = get("GET /login HTTP/1.1\r\nHost: camera.local\r\n\r\n");
    assert!(form.starts_with("HTTP/1.1 200 OK\r\n") && form.contains("name=token"), "{form}");
    let send = |token: &str| {
        let length = token.len() + 6;
        let head = "POST /login HTTP/1.1\r\nHost: camera.local\r\nOrigin: http://camera.local";
        format!("{head}\r\nContent-Length: {length}\r\n\r\ntoken={token}")
    };
    let again = get(&send("rubbish"));
    assert!(again.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{again}");
    assert!(again.contains("name=token") && again.contains("not the token"), "{again}");
    assert!(field(&again, "WWW-Authenticate").is_some() && field(&again, "Set-Cookie").is_none());
    let answer = get(&send("the%20token"));
    assert!(answer.starts_with("HTTP/1.1 303 See Other\r\n"), "{answer}");
    assert_eq!(field(&answer, "Location"), Some("/"));
    let cookie = field(&answer, "Set-Cookie").unwrap();
    let attributes = "; Path=/; Max-Age=2592000; HttpOnly; SameSite=Strict";
    assert!(cookie.starts_with("linkbeat-0=") && cookie.ends_with(attributes), "{cookie}");
    let session = cookie.split(';').next().unwrap();
    let answer = get(&page(&format!("Cookie: {session}\r\n")));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    // A logout ends this session and no other one.
    let other = get(&send("the%20token"));
    let other = field(&other, "Set-Cookie").unwrap().split(';').next().unwrap();
    let head = "HTTP/1.1\r\nHost: camera.local\r\n";
    let answer = get(&format!("GET /logout {head}Cookie: {other}\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    let answer = get(&format!("POST /logout {head}Cookie: {other}\r\n\r\n"));
    assert_eq!(field(&answer, "Location"), Some("/login"), "{answer}");
    assert!(field(&answer, "Set-Cookie").unwrap().contains("=; Path=/; Max-Age=0;"), "{answer}");
    assert!(get(&page(&format!("Cookie: {other}\r\n"))).starts_with("HTTP/1.1 303 "));
    // Another token ends what was given for this one, the same again does not.
    tested.listen("127.0.0.1:0", Some("the token"));
    let mut client = tested.ask(&page(&format!("Cookie: {session}\r\n")));
    assert!(tested.text(&mut client).starts_with("HTTP/1.1 200 "));
    tested.listen("127.0.0.1:0", Some("another token"));
    let mut client = tested.ask(&page(&format!("Cookie: {session}\r\n")));
    assert!(tested.text(&mut client).starts_with("HTTP/1.1 303 "));
}

#[test]
fn script_is_asked_for_the_token() {
    let mut tested = Loop::http();
    tested.listen("127.0.0.1:0", Some("the-token"));
    for request in [STATUS, TRIGGER, TRIGGER_ONLY, DEBUG] {
        let mut client = tested.ask(request);
        let answer = tested.text(&mut client);
        assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
        assert_eq!(field(&answer, "WWW-Authenticate"), Some("Bearer realm=\"linkbeat\""));
        assert!(body(&answer).contains("status_token"), "{answer}");
        let _client =
            tested.ask(&request.replace("\r\n\r\n", "\r\nAuthorization: Bearer the-token\r\n\r\n"));
        let request = tested.request();
        tested.reply(&request, b"{}");
    }
    for _ in 0..6 {
        let client = STATUS.replace("\r\n\r\n", "\r\nAuthorization: Bearer no-token\r\n\r\n");
        let mut client = tested.ask(&client);
        let answer = tested.text(&mut client);
        let limited = answer.starts_with("HTTP/1.1 429 Too Many Requests\r\n");
        assert!(limited || answer.starts_with("HTTP/1.1 401 "), "{answer}");
        assert_eq!(limited, field(&answer, "Retry-After").is_some(), "{answer}");
        tested.pass(Duration::from_millis(300));
    }
    let mut client = tested.ask(&STATUS.replace("\r\n\r\n", "\r\nAuthorization: Bearer x\r\n\r\n"));
    assert!(tested.text(&mut client).starts_with("HTTP/1.1 429 "));
}

#[test]
fn form_in_single_bytes_is_a_form_and_one_that_is_too_large_is_refused() {
    let mut tested = Loop::http();
    tested.listen("127.0.0.1:0", Some("the-token"));
    let form = |fill: usize| {
        format!(
            "POST /login HTTP/1.1\r\nHost: camera\r\nX: {}\r\nContent-Length: 15\r\n\r\n\
             token=the-token",
            "x".repeat(fill)
        )
    };
    let mut client = tested.connect_http();
    for byte in form(1).bytes() {
        client.write_all(&[byte]).unwrap();
        assert!(tested.turn(PATIENCE).is_empty());
    }
    assert!(tested.text(&mut client).starts_with("HTTP/1.1 303 "));
    let most = linkbeat_core::wire::http_server::HEAD_MAX - form(0).len();
    for (fill, status) in [(most, 303), (most + 1, 413)] {
        let mut client = tested.ask(&form(fill));
        let answer = tested.text(&mut client);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{fill}: {answer}");
    }
}

#[test]
fn form_is_only_there_where_a_token_is_asked_for() {
    let mut tested = Loop::http();
    let mut client = tested.ask("GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = tested.text(&mut client);
    assert_eq!(field(&answer, "Location"), Some("/"), "{answer}");
}
