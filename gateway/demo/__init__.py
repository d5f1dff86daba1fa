"""Demo: the stage on which `watchline demo` plays, and how it is told."""
