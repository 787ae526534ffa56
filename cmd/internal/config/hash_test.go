package config_test

import (
	"strings"
	"testing"
)

// TestHash: what means the same has the same hash, and what means something else has another.
func TestHash(t *testing.T) {
	want := good(t, full).Hash()
	if len(want) != 64 || want != good(t, full).Hash() {
		t.Fatalf("got %q", want)
	}
	same := func(name string, changes ...string) {
		t.Run(name, func(t *testing.T) {
			if got := good(t, strings.NewReplacer(changes...).Replace(full)).Hash(); got != want {
				t.Errorf("got another hash")
			}
		})
	}
	other := func(name string, changes ...string) {
		t.Run(name, func(t *testing.T) {
			if got := good(t, strings.NewReplacer(changes...).Replace(full)).Hash(); got == want {
				t.Errorf("got the same hash")
			}
		})
	}
	same("comment", "steps:", "# a comment\nsteps:")
	same("description", "name: orders", "name: orders\ndescription: other words")
	same("order of keys", "{commit_every: 1m30s, commit_size: 10MiB, lanes: 3,", "{lanes: 3, commit_size: 10MiB, commit_every: 1m30s,")
	same("order of blocks", "\nname: orders\n", "\n", "retry:", "name: orders\nretry:")
	same("another way to write it", "commit_every: 1m30s", "commit_every: 90s", "commit_size: 10MiB", "commit_size: 10240KiB", "topics: orders", "topics: [\"orders\"]")
	same("a default written out", "null_values: dead_letter", "null_values: dead_letter\n  on_gap: halt")
	same("what differs from worker to worker", "topics: orders", "topics: orders, rack: eu-1a")
	same("variable", "lanes: 3", "lanes: ${THREE:-3}")
	same("location", "s3://${LAKE}/lands", "s3://lake/lands/")

	other("topic", "topics: orders", "topics: [orders, more]")
	other("column", "country: string,", "country: string!,")
	other("order of columns", "country: string, at: timestamp!", "at: timestamp!, country: string")
	other("expression", "amount > 0", "amount > 1")
	other("partition", "order_date: date(at)", "order_day: date(at)")
	other("compression", "compression: snappy", "compression: zstd")
	other("commit_every", "1m30s", "1m31s")
	other("dead letters", "max_ratio: 0.5%", "max_ratio: 0.6%")
	other("endpoint", "localhost:9000", "localhost:9001")
	other("step's name", "as: positive", "as: positives", "from: positive", "from: positives")

	t.Run("secret", func(t *testing.T) {
		a := good(t, strings.Replace(full, "topics: orders", "topics: orders, sasl: {username: u, password: aaaaaa}", 1)).Hash()
		b := good(t, strings.Replace(full, "topics: orders", "topics: orders, sasl: {username: u, password: bbbbbb}", 1)).Hash()
		if a != b {
			t.Error("a new password is a new plan")
		}
	})
}

// TestEffective is the pipeline with every default, as YAML that parses.
func TestEffective(t *testing.T) {
	got := good(t, full).Effective()
	for _, want := range []string{
		"name: orders\n", "  kafka:\n    brokers: [a:9092, b:9092]\n    topics: [orders]\n    start_at: earliest\n", "  on_gap: halt\n",
		"  schema:\n    id: string!\n", "  - set:\n      day: date(at)\n", "    as: positive\n", "commit_every: 1m30s\n", "history: 60h\n",
		"      partition_by:\n        order_date: date(at)\n        country: country\n", "ledger: s3://lake/_millrace/orders/\n", "give_up_after: 1h\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant %q in it", got, want)
		}
	}
	for name, text := range map[string]string{"full": full, "base": base, "dollars": change("amount > 0", `"id = '$$$${x}: #' AND \"id\" <> 'a'"`)} {
		p := good(t, text)
		again, faults := load(t, "p.yaml", p.Effective())
		if again == nil {
			t.Errorf("%s: got\n%s\n%s", name, p.Effective(), faults.Error())
		} else if again.Hash() != p.Hash() || again.Effective() != p.Effective() {
			t.Errorf("%s: got\n%s\nwant\n%s", name, again.Effective(), p.Effective())
		}
	}
}
