//! Writes the JSON Schemas to `exercises/schema/`; `cargo xtask schema` runs it.

use std::{fs, path::Path};

fn main() -> std::io::Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    fs::create_dir_all(&dir)?;
    for (name, schema) in catalogue::schema::all() {
        fs::write(dir.join(name), format!("{schema:#}\n"))?;
        println!("exercises/schema/{name}");
    }
    Ok(())
}
