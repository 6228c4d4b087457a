//! How a platform tells of changes: what its calls look like, how they prove where they come from, and how one asks
//! for them.

use super::fill::{Blank, Fill, Pick};
use super::part::{choice, part};
use super::remote::{Step, Steps};
use crate::read::Many;

part! {
    /// Calls of the platform that tell of changes. Texts see `body`, `query`, `headers`, `path`, `options`, `config`.
    Hooks {
        /// The verbs.
        verbs: Many<String>,
        /// How the body is read.
        decoder: Decoding = Decoding::Json,
        /// Where a list of objects stands in it, each seen as `item`; the body itself where nothing is said.
        split: Option<Pick>,
        /// The object's id; sees `item`.
        id: Fill,
        /// What of the calls is of no interest; sees `item`.
        ignore: Option<Fill>,
        /// Whether it tells that the object is no more; sees `item`.
        gone: Option<Fill>,
        /// The raw object, where calls carry it whole; thin ones have none, and it is fetched.
        object: Option<Blank>,
        /// How a call proves where it comes from: all of them. The key in the query where nothing is said.
        verify: Many<Verifier>,
        /// How one asks for them.
        register: Option<Register>,
        /// What people have to do at the platform, where there is something.
        manual: Option<String>,
    }

    /// A proof.
    Verifier {
        /// Which.
        kind: Proof,
        /// The parameter of a key in the query, or the header that is looked at.
        name: Option<String>,
        /// What it must be; the connection's own key where nothing is said.
        secret: Option<Fill>,
        /// The digest of an HMAC.
        algorithm: Digest = Digest::Sha256,
        /// How the HMAC is written.
        encoding: Encoding = Encoding::Hex,
        /// What stands before the HMAC.
        prefix: Option<String>,
        /// What the HMAC covers; sees `text`, the body as it came.
        signed: Option<Fill>,
        /// What a signature must cover at least.
        covers: Many<String>,
        /// Seconds that a signed date may be off.
        leeway: u64 = 300,
        /// The public key in PEM or base64, where it is known; sees `config`.
        public_key: Option<Fill>,
        /// How a public key is fetched; sees `key`, its name.
        fetch: Option<KeyFetch>,
        /// How names of public keys end: whoever signs names the key, and another's is no proof.
        keys_of: Option<String>,
    }

    /// How a public key is fetched.
    KeyFetch (call) {
        /// Where it stands in the answer.
        select: Pick,
    }

    /// How one asks for hooks. Calls see `url`, `secret` and `each`.
    Register {
        /// One hook for each of these; one where none are named.
        each: Vec<String>,
        /// Makes one, by one call or several.
        create: Steps,
        /// Takes one back; sees `id`.
        delete: Option<Step>,
        /// Looks whether it is still there; sees `id`.
        check: Option<CheckHook>,
        /// Lists those that there are, so that one that was made before is not made twice.
        list: Option<ListHooks>,
    }

    /// Lists hooks.
    ListHooks (call) {
        /// Where the list stands in the answer; each is seen as `item`.
        list as "select": Option<Pick>,
        /// Of a hook, the id.
        id: Pick,
        /// Whether it is ours; sees `item`, `url` and `each`.
        holds: Fill,
    }

    /// Looks whether a hook is still there.
    CheckHook (call) {
        /// Whether it is, and is ours; sees `body`, `id` and `url`.
        holds: Fill,
    }
}

choice! {
    /// How a body is read.
    Decoding {
        /// JSON.
        Json = "json",
        /// A form, with keys such as `contact[fields][city]` nested.
        Form = "form",
        /// What the content type says: JSON or a form.
        Either = "either",
        /// Nothing of it; all there is stands in the query.
        Query = "query",
    }

    /// A kind of proof.
    Proof {
        /// The key in the query.
        Key = "key",
        /// The key at the end of the path.
        Path = "path",
        /// A header that equals it.
        Header = "header",
        /// `Authorization: Basic` with it as `user:password`.
        Basic = "basic",
        /// An HMAC in a header.
        Hmac = "hmac",
        /// HTTP signatures with RSA and SHA-256, as the draft by Cavage has them.
        Signature = "signature",
    }

    /// The digest of an HMAC.
    Digest {
        /// SHA-1.
        Sha1 = "sha1",
        /// SHA-256.
        Sha256 = "sha256",
        /// SHA-512.
        Sha512 = "sha512",
    }

    /// How bytes are written.
    Encoding {
        /// As hexadecimal digits.
        Hex = "hex",
        /// In base64.
        Base64 = "base64",
    }
}
