# The menu. `just` alone shows it; everything here is an ordinary cargo line that can be typed too.

_menu:
    @just --list --unsorted

# Format all code
fmt:
    cargo fmt --all

# Clippy, warnings as errors
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# House rules: file sizes, names, error pages, who may depend on whom
tidy:
    cargo run -q -p xtask -- tidy
    cargo run -q -p xtask -- layers

# Format, lints, tidy, layers: all that needs no test run
check:
    cargo fmt --all --check
    @just lint tidy

# Everything, as CI does it
test *FILTER:
    ./test {{ FILTER }}

# The gate's tests alone: a server in the process, a mock clock
it *FILTER:
    cargo nextest run --workspace -E 'binary(it)' {{ FILTER }}

# The world in one thread: seeds, faults, checkers
sim *FILTER:
    cargo nextest run -p lockstep-sim {{ FILTER }}

# Kill the real server 500 times and compare with what its clients were told
crash:
    LOCKSTEP_CRASH_KILLS=500 cargo nextest run --profile crash -p lockstep crash

# Shares among platforms that fail: N worlds with SIGKILL of the real binary, ten times as many in one thread
world N="100":
    LOCKSTEP_SHARES_SEEDS={{ N }} cargo nextest run --profile crash -p lockstep shares_crash
    LOCKSTEP_SIM_SEEDS=0..{{ N }}0 cargo nextest run --profile crash -p lockstep-sim platforms_are_equal

# An empty ActiveCampaign is filled from BlueConic: 50,000 people at five calls a second, ten times as fast
fill PEOPLE="50000":
    LOCKSTEP_SHARES_PEOPLE={{ PEOPLE }} cargo nextest run --profile crash -p lockstep filled_from_blueconic

# An hour of mixed load, kills, backups and endpoints that come and go; a line a minute
soak SECONDS="3600":
    LOCKSTEP_SOAK_SECONDS={{ SECONDS }} cargo nextest run --profile soak -p lockstep --no-capture soak

# The connectors' runtime against airbyte-cdk's: ten times the data, SEEDS worlds of it
airbyte-diff SEEDS="20":
    LOCKSTEP_AIRBYTE_SEEDS={{ SEEDS }} LOCKSTEP_AIRBYTE_SCALE=10 cargo nextest run --profile soak -p lockstep both_runtimes

# Each manifest of a folder: our spec and streams against airbyte-cdk's, and why where there are none
airbyte-all DIR:
    tests/airbyte/install.sh
    cargo build -q -p lockstep
    target/peers/airbyte/bin/python tests/airbyte/all.py target/debug/lockstep {{ DIR }}

# The guide from Directus to Tryton as it stands, with both; then edits, lost hooks, and all of both sides compared
accept:
    tests/accept/install.sh
    cargo build -q -p lockstep
    python3 tests/accept/accept.py target/debug/lockstep

# The crates' documentation, ours only
docs:
    cargo doc --workspace --no-deps

# Measure, in one run, against a bare server and a bare client
bench *ARGS:
    cargo run --release -q -- bench {{ ARGS }}

# Serve from the folder target/data; other flags follow
run *ARGS:
    cargo run -- serve --data target/data {{ ARGS }}

# Say in plain words what is wrong with the folder target/data
doctor *ARGS:
    cargo run -q -- doctor --data target/data {{ ARGS }}
