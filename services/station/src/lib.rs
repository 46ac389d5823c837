//! Station: the directory's only writer, and who sits where.
