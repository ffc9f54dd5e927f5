//! Files over HTTP: the built-in page, or a folder in its place.

use std::path::{Component, Path, PathBuf};

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use percent_encoding::percent_decode_str;

/// What a relay shows without a folder of its own.
const PAGE: &str = include_str!("../static/index.html");

/// The answer to a GET of a path.
pub(crate) async fn answer(folder: Option<&Path>, path: &str) -> Response {
    let Some(folder) = folder else {
        return if path == "/" { Html(PAGE).into_response() } else { not_found() };
    };
    let Some(relative) = relative_path(path) else { return not_found() };
    match read(folder, &relative).await {
        Ok((file, bytes)) => {
            let headers = [
                (header::CONTENT_TYPE, content_type(&file)),
                (header::CACHE_CONTROL, "no-cache"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, bytes).into_response()
        }
        Err(_absent) => not_found(),
    }
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "there is nothing at this address").into_response()
}

/// The path below the folder, when it consists of plain names only.
fn relative_path(path: &str) -> Option<PathBuf> {
    let decoded = percent_decode_str(path.strip_prefix('/')?).decode_utf8().ok()?;
    if decoded.contains(['\\', '\0']) {
        return None;
    }
    let relative = PathBuf::from(decoded.as_ref());
    let is_plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    is_plain.then_some(relative)
}

async fn read(folder: &Path, relative: &Path) -> std::io::Result<(PathBuf, Vec<u8>)> {
    let folder = tokio::fs::canonicalize(folder).await?;
    let mut file = tokio::fs::canonicalize(folder.join(relative)).await?;
    if tokio::fs::metadata(&file).await?.is_dir() {
        file = tokio::fs::canonicalize(file.join("index.html")).await?;
    }
    // A symbolic link may lead out of the folder.
    if !file.starts_with(&folder) {
        return Err(std::io::ErrorKind::NotFound.into());
    }
    let bytes = tokio::fs::read(&file).await?;
    Ok((file, bytes))
}

fn content_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("txt" | "md") => "text/plain; charset=utf-8",
        Some("webmanifest") => "application/manifest+json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn paths_that_leave_the_folder_are_none() {
        for path in [
            "/../x",
            "/a/../../x",
            "/%2e%2e/x",
            "//etc/passwd",
            "/%2fetc",
            "/a%5c..",
            "/%00",
            "x",
            "/%ff",
        ] {
            assert_eq!(relative_path(path), None, "{path}");
        }
        assert_eq!(relative_path("/"), Some(PathBuf::new()));
        assert_eq!(relative_path("/a%20b/c.js"), Some(PathBuf::from("a b/c.js")));
    }

    #[tokio::test]
    async fn a_folder_takes_the_place_of_the_page() {
        let outside = tempfile::NamedTempFile::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::write(path.join("index.html"), "start").unwrap();
        fs::create_dir(path.join("sub")).unwrap();
        fs::write(path.join("sub/index.html"), "sub").unwrap();
        fs::write(path.join("x.wasm"), "wasm").unwrap();
        std::os::unix::fs::symlink(outside.path(), path.join("leak.txt")).unwrap();
        let get = async |address: &str| {
            let response = answer(Some(path), address).await;
            let kind = response.headers().get(header::CONTENT_TYPE).unwrap().to_str().unwrap();
            (response.status().as_u16(), kind.to_owned())
        };
        assert_eq!(get("/").await, (200, "text/html; charset=utf-8".to_owned()));
        assert_eq!(get("/sub").await, (200, "text/html; charset=utf-8".to_owned()));
        assert_eq!(get("/x.wasm").await, (200, "application/wasm".to_owned()));
        for address in ["/none", "/../index.html", "/leak.txt", "/sub/none"] {
            assert_eq!(get(address).await.0, 404, "{address}");
        }
        assert_eq!(answer(None, "/").await.status(), 200);
        assert_eq!(answer(None, "/index.js").await.status(), 404);
    }
}
