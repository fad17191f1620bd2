//! Builds the web client with Node, when Node is there, and writes the table of its files that `http/web.rs` includes.
//!
//! - The client is built into cargo's own folder, so that nothing but `web/node_modules` appears among the sources.
//! - Without Node, or when its tools fail, `web/dist` is taken when somebody built it by hand; otherwise the table is
//!   empty and the server shows a page that says how to build it.
//! - `SABHA_WEB=off` leaves Node alone.

use std::{
    env, fs,
    hash::{DefaultHasher, Hasher},
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

use flate2::{Compression, write::GzEncoder};

/// What the client is made of.
const SOURCES: [&str; 7] =
    ["dev", "index.html", "package-lock.json", "package.json", "public", "src", "vite.config.ts"];
/// Smaller files gain nothing.
const GZIP_MIN: usize = 1_024;

fn main() -> io::Result<()> {
    let home = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(variable("OUT_DIR"));
    let web = home.join("web");
    println!("cargo:rerun-if-env-changed=SABHA_WEB");
    for source in SOURCES {
        println!("cargo:rerun-if-changed={}", web.join(source).display());
    }
    let site = built(&web, &out).or_else(|| {
        let by_hand = web.join("dist");
        println!("cargo:rerun-if-changed={}", by_hand.display());
        by_hand.join("index.html").exists().then_some(by_hand)
    });
    let mut files = Vec::new();
    if let Some(site) = &site {
        collect(site, site, &mut files)?;
        files.sort();
    }
    let mut table = String::from("static FILES: &[File] = &[\n");
    for (path, file) in &files {
        table.push_str(&entry(path, file, &out)?);
    }
    table.push_str("];\n");
    fs::write(out.join("web.rs"), table)
}

/// Where the client was built, or `None` when it could not be.
fn built(web: &Path, out: &Path) -> Option<PathBuf> {
    let off = env::var("SABHA_WEB").is_ok_and(|value| value == "off");
    if off || !web.join("package.json").exists() || !answers("node") || !answers("npm") {
        return None;
    }
    let site = out.join("site");
    let lock = modified(&web.join("package-lock.json"));
    let installed = modified(&web.join("node_modules/.package-lock.json"));
    if installed.is_none() || installed < lock {
        npm(web, &["ci", "--no-audit", "--no-fund"])?;
    }
    let target = site.to_str()?;
    npm(web, &["run", "build", "--", "--outDir", target, "--emptyOutDir"])?;
    site.join("index.html").exists().then_some(site)
}

fn answers(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn modified(path: &Path) -> Option<std::time::SystemTime> {
    fs::metadata(path).and_then(|data| data.modified()).ok()
}

fn npm(web: &Path, arguments: &[&str]) -> Option<()> {
    let output = Command::new("npm").args(arguments).current_dir(web).output().ok()?;
    if output.status.success() {
        return Some(());
    }
    println!("cargo:warning=the web client was not built: npm {} failed", arguments.join(" "));
    let said = [output.stdout, output.stderr].concat();
    for line in String::from_utf8_lossy(&said).lines().filter(|line| !line.trim().is_empty()).take(20) {
        println!("cargo:warning={line}");
    }
    None
}

fn collect(site: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for found in fs::read_dir(folder)? {
        let path = found?.path();
        if path.is_dir() {
            collect(site, &path, files)?;
        } else if let Some(name) = path.strip_prefix(site).ok().and_then(Path::to_str) {
            files.push((name.replace('\\', "/"), path.clone()));
        }
    }
    Ok(())
}

fn entry(path: &str, file: &Path, out: &Path) -> io::Result<String> {
    let bytes = fs::read(file)?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    let etag = format!("\"{:016x}\"", hasher.finish());
    let mut gzip = "None".to_string();
    if bytes.len() >= GZIP_MIN {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&bytes)?;
        let packed = encoder.finish()?;
        if packed.len() < bytes.len() * 9 / 10 {
            let place = out.join(format!("{:016x}.gz", hasher.finish()));
            fs::write(&place, packed)?;
            gzip = format!("Some(include_bytes!({place:?}))");
        }
    }
    let kind = kind(path);
    Ok(format!(
        "    File {{ path: {path:?}, kind: {kind:?}, etag: {etag:?}, bytes: include_bytes!({file:?}), gzip: {gzip} }},\n"
    ))
}

fn kind(path: &str) -> &'static str {
    match Path::new(path).extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("wasm") => "application/wasm",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
