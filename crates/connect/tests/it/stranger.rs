//! The connector that a stranger wrote from docs/CONNECTORS.md alone, against the small API that it is for: read, looked
//! up and written, and listened to. Both are kept: `docs/examples/address-book`, and `tests/peers/address_book.py`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method};
use lockstep_connect::{
    Ask, Check, Class, Connector, Event, Hint, HookCall, HookRefused, Link, Object, World, Write, Written,
};
use lockstep_core::Fields;
use lockstep_core::clock::Timestamp;
use lockstep_core::mapping::Compiled;
use lockstep_core::schema::Schema;
use serde_json::{Value, json};

use crate::peer::{Moved, Peer, root};

const SECRET: &str = "the-secret-of-the-connection";

fn file(name: &str) -> String {
    std::fs::read_to_string(root().join("docs/examples/address-book").join(name)).unwrap()
}

/// The API with five people in it, and the connector linked to it.
struct Book {
    peer: Peer,
    connector: Connector,
    link: Link,
    mapping: Compiled,
}

impl Book {
    async fn open() -> Self {
        let (peer, ()) = Peer::start("python3", "address_book.py", |port| (format!("http://127.0.0.1:{port}"), ()));
        let connector = Connector::parse(&file("manifest.yaml"), Some(&file("lockstep.yaml")), Arc::new(()));
        let connector = connector.unwrap_or_else(|bad| panic!("{bad}"));
        let clock = Arc::new(Moved::to("2026-02-01T00:00:00Z"));
        let world = World { transport: Arc::clone(&peer.transport) as _, clock, seed: 7, keep: None };
        let link = connector.open(json!({"url": peer.url, "key": "the-key"}), world).unwrap();
        let remote = connector.object("person").unwrap();
        let mapping = remote.mapping.compile(Schema::ready_made().shape(&remote.ty).unwrap()).unwrap();
        let book = Self { peer, connector, link, mapping };
        for (n, given) in ["Ada", "Bob", "Cas", "Die", "Eva"].into_iter().enumerate() {
            let mail = format!("{}@a.test", given.to_lowercase());
            book.edit(&format!("p{n}"), json!({"mail": mail, "name": {"given": given}, "tags": ["old"]})).await;
        }
        book
    }

    /// Somebody edits a person there.
    async fn edit(&self, key: &str, what: Value) {
        assert_eq!(self.peer.tell(&format!("/by-hand/{key}"), &what).await, json!({}));
    }

    /// The people of a listing from a state on, and the state that it came to.
    async fn listed(&self, state: Value) -> (Vec<Object>, Value) {
        let (out, mut events) = tokio::sync::mpsc::channel(64);
        let ask = Ask { streams: Some(vec![("people".to_owned(), state)]), ..Ask::default() };
        self.link.session().read(ask, &out).await.unwrap();
        drop(out);
        let (mut people, mut reached) = (Vec::new(), Value::Null);
        while let Some(event) = events.recv().await {
            match event {
                Event::Records { records, .. } => people.extend(
                    records
                        .iter()
                        .map(|record| self.link.shaped("person", &Fields::new(), record.as_ref().clone()).unwrap()),
                ),
                Event::State { state, .. } => reached = state,
                Event::Problem { failure, .. } => panic!("{failure}"),
                Event::Began { .. } | Event::Ended { .. } => {}
            }
        }
        (people, reached)
    }

    /// A person as the hub sees it.
    async fn seen(&self, id: &str) -> Value {
        let object = self.link.fetch("person", &Fields::new(), id).await.unwrap().unwrap();
        Value::Object(self.mapping.inward(&self.mapping.completed(object.tree)).values)
    }

    async fn write(&self, id: Option<&str>, record: Value) -> Written {
        let Value::Object(record) = record else { panic!("{record} is no record") };
        let wanted = self.mapping.outward(&record, &BTreeMap::new()).values;
        let said: Vec<String> = record.keys().cloned().collect();
        let write = Write {
            token: "t".to_owned(),
            id: id.map(str::to_owned),
            changed: self.mapping.object(&wanted, Some(&said)),
            whole: self.mapping.object(&wanted, None),
            groups: self.mapping.group(&["email".to_owned()], &wanted).into_iter().collect(),
            may_create: id.is_none(),
        };
        self.link.write("person", &Fields::new(), vec![write]).await.remove(0)
    }
}

#[test]
fn it_is_under_sixty_lines() {
    let lines = [file("manifest.yaml"), file("lockstep.yaml")].concat();
    let count = lines.lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with('#')).count();
    assert!(count < 60, "{count} lines");
    assert!(lines.lines().all(|line| line.chars().count() <= 120), "and none of them is a long one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_reads_page_by_page_and_then_what_is_new() {
    let book = Book::open().await;
    let identity = book.link.identity().await.unwrap();
    assert_eq!((identity.id.as_deref(), identity.label.as_deref()), (Some("7"), Some("The address book")));
    assert_eq!(book.link.session().check().await, Check::Works);
    let (people, state) = book.listed(Value::Null).await;
    let names = people.iter().map(|one| book.mapping.inward(&one.tree).values["firstName"].clone()).collect::<Vec<_>>();
    assert_eq!(names, ["Ada", "Bob", "Cas", "Die", "Eva"]);
    book.edit("p1", json!({"name": {"given": "Bo"}})).await;
    let (people, _) = book.listed(state).await;
    let newer: Vec<&str> = people.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(newer, ["p4", "p1"], "the last one that was seen, and what came after it");
    let expected = json!({"email": "bob@a.test", "firstName": "Bo", "lastName": null, "interests": ["old"]});
    assert_eq!(book.seen("p1").await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_looks_up_makes_and_changes() {
    let book = Book::open().await;
    let record = json!({"email": "fay@a.test", "firstName": "Fay", "lastName": "Vos", "interests": ["tea"]});
    let Written::Done { id, is_new: true, .. } = book.write(None, record.clone()).await else { panic!("not made") };
    assert_eq!(book.seen(&id).await, record);
    // Found by its address and changed: nothing is there twice.
    let again = book.write(None, json!({"email": "fay@a.test", "lastName": "Bos"})).await;
    assert!(matches!(&again, Written::Done { id: same, is_new: false, .. } if *same == id), "{again:?}");
    let known = book.write(Some(&id), json!({"interests": ["tea", "jazz"]})).await;
    assert!(matches!(known, Written::Done { is_new: false, .. }), "{known:?}");
    let expected = json!({"email": "fay@a.test", "firstName": "Fay", "lastName": "Bos", "interests": ["jazz", "tea"]});
    assert_eq!(book.seen(&id).await, expected);
    assert_eq!(book.listed(Value::Null).await.0.len(), 6);
    let taken = book.write(Some(&id), json!({"email": "ada@a.test"})).await;
    assert!(matches!(&taken, Written::Refused(trouble) if trouble.class == Class::Duplicate), "{taken:?}");
    let nobody = book.write(Some("p99"), json!({"firstName": "Gus"})).await;
    assert!(matches!(&nobody, Written::Refused(trouble) if trouble.class == Class::Gone), "{nobody:?}");
}

/// Takes calls as a hub does, until a test has enough; gives its URL, and the calls as they came.
fn ear() -> (String, Receiver<HookCall>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (out, calls) = sync_channel(8);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(&stream);
            let mut headers = HeaderMap::new();
            let lines = reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            for (name, value) in
                lines.filter_map(|line| Some(line.split_once(": ")?).map(|(a, b)| (a.to_owned(), b.to_owned())))
            {
                headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            }
            let length = headers["content-length"].to_str().unwrap().parse().unwrap();
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let call = HookCall {
                method: Method::POST,
                target: "/hook".to_owned(),
                path_rest: String::new(),
                query: String::new(),
                headers,
                body: body.into(),
                secret: SECRET.to_owned(),
                config: json!({}),
                keys: BTreeMap::new(),
                now: Timestamp::parse("2026-02-01T00:00:00Z").unwrap(),
            };
            (&stream).write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap();
            if out.send(call).is_err() {
                return;
            }
        }
    });
    (url, calls)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_listens_to_signed_hooks_and_fetches_what_they_tell_of() {
    let book = Book::open().await;
    let (url, calls) = ear();
    let heard = || calls.recv_timeout(Duration::from_secs(10)).unwrap();
    let none = Fields::new();
    let hooks = book.link.hooks_keep("person", &none, &url, SECRET, &Value::Null).await;
    assert_eq!(hooks.trouble, None);
    book.edit("p2", json!({"name": {"family": "Kok"}})).await;
    let call = heard();
    let hints = book.connector.hook("person", &none, &call).unwrap();
    assert_eq!(hints, [Hint { id: "p2".to_owned(), is_gone: false, object: None }]);
    assert_eq!(book.seen("p2").await["lastName"], "Kok");
    let forged = HookCall { body: call.body.to_ascii_uppercase().into(), ..call.clone() };
    let stranger = HookCall { secret: "another".to_owned(), ..call };
    for call in [forged, stranger] {
        let refused = book.connector.hook("person", &none, &call);
        assert!(matches!(refused, Err(HookRefused::Unproven(_))), "{refused:?}");
    }

    book.edit("p2", json!({"gone": true})).await;
    let hints = book.connector.hook("person", &none, &heard()).unwrap();
    assert!(hints[0].id == "p2" && hints[0].is_gone, "{hints:?}");
    assert_eq!(book.link.fetch("person", &none, "p2").await.unwrap(), None);

    book.link.hooks_unregister("person", &none, &hooks.known).await.unwrap();
    book.edit("p3", json!({"name": {"family": "Smit"}})).await;
    assert!(calls.try_recv().is_err(), "it is called no more: the API answers an edit after its calls");
}
