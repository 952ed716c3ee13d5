#!/usr/bin/env bash
# Fills the demonstration workspace: scripts/demo.sh PATH-OF-PLASMA URL API-KEY DATA-DIR
set -euo pipefail

plasma="$1"
export PLASMA_URL="$2" PLASMA_API_KEY="$3"
data="$4"

"$plasma" ingest --create --collection "Plasma documentation" --no-wait README.md ARCHITECTURE.md docs/*.md >/dev/null
echo "  The demonstration collection \"Plasma documentation\" is being read in."

# A free manual from a package: the Debian FAQ, or where no Debian package can be had, the manual that npm ships.
manual="$data/demo-manual"
name="Debian FAQ"
if [ ! -d "$manual" ]; then
    mkdir -p "$manual.new"
    if (cd "$manual.new" && apt-get download debian-faq >/dev/null 2>&1 && dpkg-deb -x debian-faq_*.deb package); then
        cp "$manual.new"/package/usr/share/doc/debian/FAQ/*.en.html "$manual.new"/
        rm -rf "$manual.new"/package "$manual.new"/*.deb "$manual.new"/index.en.html
    else
        npm_manual="$(npm root --global 2>/dev/null)/npm/docs/content/using-npm"
        if [ -d "$npm_manual" ]; then cp "$npm_manual"/*.md "$manual.new"/; fi
    fi
    mv "$manual.new" "$manual"
fi
if ls "$manual"/*.md >/dev/null 2>&1; then name="npm manual"; fi
if [ -n "$(ls -A "$manual")" ]; then
    "$plasma" ingest --create --collection "$name" --no-wait "$manual" >/dev/null
    echo "  The demonstration collection \"$name\" is being read in; watch it at $PLASMA_URL/knowledge/"
fi
