package protocol

import "github.com/millrace/millrace/stream"

// UploadsWithout is Uploads with guards off.
func UploadsWithout(off Guard, h *stream.Head, n Name) Verdict { return uploads(h, n, off) }
