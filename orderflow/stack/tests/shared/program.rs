//! The program of OrderFlow, built as these tests are.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Where it is. The variable `STACK_TEST_PROGRAM` names one that is there already.
pub(crate) fn orderflow() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(path) = std::env::var_os("STACK_TEST_PROGRAM") {
            return path.into();
        }
        let profile = Path::new(env!("CARGO_BIN_EXE_orderflow-stack")).parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "orderflow", "--bin", "orderflow", "--target-dir"]);
        cargo.arg(profile.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
        // What cargo calls the profile dev has the directory debug.
        let name = profile.file_name().and_then(|name| name.to_str()).unwrap();
        cargo.args(["--profile", if name == "debug" { "dev" } else { name }]);
        assert!(cargo.status().unwrap().success(), "OrderFlow does not build");
        profile.join("orderflow")
    })
}
