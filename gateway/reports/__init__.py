"""Reports: small HTML files that stand alone: inline SVG, no script, nothing fetched."""
