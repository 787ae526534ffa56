package status_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/millrace/millrace/cmd/internal/status"
	"github.com/millrace/millrace/stream"
)

func TestListen(t *testing.T) {
	for _, tc := range []struct {
		addr  string
		token stream.Secret
		ok    bool
		next  string
	}{
		{"127.0.0.1:0", "", true, ""},
		{"127.8.9.10:0", "", true, ""},
		{"localhost:0", "", true, ""},
		{"0.0.0.0:0", "", false, "--token-file"},
		{":0", "", false, "--token-file"},
		{"[::]:0", "", false, "--token-file"},
		{"192.0.2.1:0", "", false, "--token-file"},
		{"[::ffff:0.0.0.0]:0", "", false, "--token-file"},
		{"0.0.0.0:0", token, true, ""},
		{":0", token, true, ""},
		{"127.0.0.1", "", false, "127.0.0.1:8787"},
		{"127.0.0.1:http-of-nobody", "", false, "--addr"},
		{"127.0.0.1:70000", "", false, "--addr"},
	} {
		l, err := status.Listen(tc.addr, tc.token)
		if l != nil {
			_ = l.Close()
		}
		if (err == nil) != tc.ok || err != nil && (!errors.Is(err, stream.ErrPermanent) || !strings.Contains(stream.Next(err), tc.next)) {
			t.Errorf("%s with token %q: got %v (next: %s), want ok %v, advice with %q", tc.addr, tc.token.Reveal(), err, stream.Next(err), tc.ok, tc.next)
		}
	}
}

func TestListenTwice(t *testing.T) {
	l, err := status.Listen("127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := status.Listen(l.Addr().String(), ""); err == nil || !strings.Contains(stream.Next(err), "another process") {
		t.Errorf("got %v (next: %s), want to be told who may have it", err, stream.Next(err))
	}
}
