"""One plain function per corpus that writes Kaldi data directories."""
