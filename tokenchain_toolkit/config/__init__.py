"""Typed configurations; YAML and key=value overrides."""
