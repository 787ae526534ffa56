package daemon_test

import (
	"testing"

	"github.com/millrace/millrace/cmd/internal/config"
	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/deploy/quickstart"
	"github.com/millrace/millrace/stream/decode"
	"github.com/millrace/millrace/stream/decode/json"
)

// TestTheConfigurationKnowsTheDecodersColumns compares what expressions were checked against with what really comes.
func TestTheConfigurationKnowsTheDecodersColumns(t *testing.T) {
	c, faults := config.LoadText("orders.yaml", quickstart.Orders, daemon.Components(), config.Options{Dir: t.TempDir()})
	if c == nil {
		t.Fatal(faults)
	}
	row, err := json.New(*c.Source.Decode.Config.(*json.Config), c.Source.Declared)
	if err != nil {
		t.Fatal(err)
	}
	o := decode.DefaultOptions()
	o.Metadata = decode.Metadata(c.Source.Metadata)
	d, err := decode.New(row, o)
	if err != nil {
		t.Fatal(err)
	}
	if !d.Schema().Equal(c.Source.Schema) {
		t.Errorf("the decoder makes %s, the configuration was checked against %s", d.Schema(), c.Source.Schema)
	}
}
