package config

import (
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// location makes a place canonical: s3://bucket/prefix/ or /absolute/folder/. It is "" after a fault.
func (l *loader) location(n *node, what, s string) string {
	if n.broken || n.kind != scalar || n.null() || l.told(n) {
		return ""
	}
	fail := func(text, fix string) string {
		l.fault(n.span(), codeLocation, "%s: %s %s", what, n.show(), text).Fix = fix
		return ""
	}
	scheme, rest, hasScheme := strings.Cut(s, "://")
	switch {
	case strings.TrimSpace(s) == "":
		return fail("is empty", "write s3://bucket/prefix/ or a folder")
	case s != strings.TrimSpace(s):
		return fail("has blanks around it", "remove them")
	case hasScheme && scheme == "s3":
		return l.bucket(n, what, rest)
	case hasScheme && (scheme == "s3a" || scheme == "s3n"):
		return fail("has a scheme of Hadoop's", "write s3://"+rest)
	case hasScheme && scheme == "file":
		if !strings.HasPrefix(rest, "/") {
			return fail("names no folder of this machine", "write file:///folder/ or just /folder/")
		}
		s = rest
	case hasScheme:
		return fail("has a scheme that is not known", "write s3://bucket/prefix/ or a folder")
	case strings.HasPrefix(s, "~"):
		return fail("begins with ~, which only shells expand", "write ${HOME}"+strings.TrimPrefix(s, "~"))
	}
	if strings.ContainsAny(s, "\x00\n\r") {
		return fail("has characters that no path has", "")
	}
	abs := l.absolute(s)
	if abs == "/" {
		return fail("is the root of the file system", "write a folder")
	}
	return abs
}

// absolute is a local folder, from the directory that relative ones start at, with a slash at its end.
func (l *loader) absolute(s string) string {
	if !filepath.IsAbs(s) {
		s = filepath.Join(l.opt.Dir, s)
	}
	s = filepath.ToSlash(filepath.Clean(s))
	if s == "/" {
		return s
	}
	return s + "/"
}

func (l *loader) bucket(n *node, what, rest string) string {
	bucket, prefix, _ := strings.Cut(rest, "/")
	fail := func(text, fix string) string {
		l.fault(n.span(), codeLocation, "%s: %s %s", what, n.show(), text).Fix = fix
		return ""
	}
	if bucket == "" {
		return fail("names no bucket", "write s3://bucket/prefix/")
	}
	if !bucketName.MatchString(bucket) {
		return fail("has a bucket that cannot be one", "a bucket's name has 3 to 63 small letters, digits, dots and hyphens")
	}
	prefix = strings.TrimSuffix(prefix, "/")
	if prefix == "" {
		return "s3://" + bucket + "/"
	}
	if path.Clean("/"+prefix) != "/"+prefix {
		return fail("has an empty part, . or .. in it", "object stores know no folders; write s3://"+bucket+path.Clean("/"+prefix)+"/")
	}
	for _, r := range prefix {
		if r < ' ' || r == 0x7f {
			return fail("has control characters in it", "")
		}
	}
	if len(prefix) > 512 {
		return fail("is longer than 512 bytes; keys have at most 1,024", "")
	}
	return "s3://" + bucket + "/" + prefix + "/"
}

func splitBucket(location string) (bucket, prefix string) {
	bucket, prefix, _ = strings.Cut(strings.TrimPrefix(location, "s3://"), "/")
	return bucket, prefix
}

// overlap tells whether one place lies within the other, or is it.
func overlap(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }
