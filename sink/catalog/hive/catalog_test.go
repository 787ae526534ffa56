package hive

import "testing"

func TestSamePlace(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		same bool
	}{
		{"s3://lake/orders/", "s3://lake/orders", true},
		{"s3a://lake/orders", "s3://lake/orders/", true},
		{"s3n://lake/orders", "s3a://lake/orders/", true},
		{"file:///lake/orders/", "/lake/orders", true},
		{"file:/lake/orders/", "/lake/orders", true},
		{"s3://lake/orders/day=a%2Fb/", "s3://lake/orders/day=a/b/", false},
		{"s3://lake/orders/", "s3://lake/Orders/", false},
		{"s3://lake/orders/", "/lake/orders/", false},
	} {
		if got := samePlace(tc.a, tc.b); got != tc.same {
			t.Errorf("%s and %s: got %v, want %v", tc.a, tc.b, got, tc.same)
		}
	}
	if at := glueLocation("/lake/orders/"); at != "file:///lake/orders/" || !samePlace(at, "/lake/orders/") {
		t.Errorf("a local folder is written as %s", at)
	}
}

// TestPartitionKeys: no two lists of values may have one key.
func TestPartitionKeys(t *testing.T) {
	seen := map[string][]string{}
	for _, vs := range [][]string{{}, {""}, {"", ""}, {"a"}, {"a", ""}, {"", "a"}, {"a", "b"}, {"a\x00;b"}, {"a\x00", "b"}, {"a", "\x00b"}, {"a\x00\x00;b"}, {"a;b"}, {";"}, {"\x00"}, {"\x00;"}} {
		k := partition{Values: vs}.key()
		if other, ok := seen[k]; ok {
			t.Errorf("%q and %q have one key", vs, other)
		}
		seen[k] = vs
	}
}
