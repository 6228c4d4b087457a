//! The in-memory store, held to the contract.

use async_trait::async_trait;
use lockstep_core::clock::Clock;
use lockstep_store::Store;
use lockstep_store::contract::Subject;
use lockstep_store::memory::MemoryStore;
use std::sync::{Arc, OnceLock};

/// One store in memory: there is nothing to open again, so it stays the same one.
#[derive(Default)]
struct Memory(OnceLock<Arc<MemoryStore>>);

#[async_trait]
impl Subject for Memory {
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn Store> {
        Arc::<MemoryStore>::clone(self.0.get_or_init(|| Arc::new(MemoryStore::new(clock))))
    }

    async fn begin_epoch(&self, _clock: Arc<dyn Clock>) {
        if let Some(store) = self.0.get() {
            store.begin_epoch();
        }
    }

    fn is_durable(&self) -> bool {
        false
    }
}

lockstep_store::contract!(crate::Memory::default());

/// A case that is written and not listed would never run.
#[test]
fn every_case_of_the_contract_is_listed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/contract");
    let list = std::fs::read_to_string(folder.join("mod.rs")).unwrap();
    let mut cases = 0;
    for file in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
        let text = std::fs::read_to_string(file.path()).unwrap();
        for line in text.lines().filter(|line| line.contains("(subject: &impl Subject)")) {
            let name = line.trim_start_matches("pub async fn ").split('(').next().unwrap();
            assert!(list.contains(&format!(" {name}\n")), "{name} of {:?} is not in contract/mod.rs", file.file_name());
            cases += 1;
        }
    }
    assert!(cases > 80, "{cases} cases were found");
}
