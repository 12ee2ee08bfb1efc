"""One thin command per recipe stage."""
