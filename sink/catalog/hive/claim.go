package hive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// claimKey is the object, below a table's location, that names the ledger that writes the table.
const claimKey = "_millrace.json"

// claimLook is how many keys of a folder without a claim are looked at: enough to pass what is hidden and find data.
const claimLook = 1000

// claim is the content of claimKey.
type claim struct {
	Format int `json:"format"`
	stream.Owner
}

// Claim makes o the owner of the table: the claim beside the data decides, and a catalog table that is there already must
// carry o's property. It changes nothing if the table has another owner: stream.ErrForeign.
func (t *Table) Claim(ctx context.Context, o stream.Owner) error {
	if err := t.checkLedger(o); err != nil {
		return err
	}
	if t.cat != nil {
		if _, err := t.read(ctx, o); err != nil && !errors.Is(err, errMissing) {
			return err
		}
	}
	if err := t.claimFolder(ctx, o); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.owner = &o
	return nil
}

// checkLedger refuses a ledger among the data, where readers would take its objects for rows, and data inside a ledger,
// where garbage collection would meet it.
func (t *Table) checkLedger(o stream.Owner) error {
	ledger, table := plainLocation(o.Ledger)+"/", plainLocation(t.ref.Location)+"/"
	if !strings.HasPrefix(ledger, table) && !strings.HasPrefix(table, ledger) || o.Ledger == "" {
		return nil
	}
	err := fmt.Errorf("catalog: the ledger %s and the table %s lie one inside the other: %w", o.Ledger, t.ref.Location, stream.ErrPermanent)
	return stream.WithNext(err, "give delivery.ledger a folder beside the table")
}

func (t *Table) claimFolder(ctx context.Context, o stream.Owner) error {
	have, err := t.readClaim(ctx)
	if err != nil {
		return err
	}
	if have == nil {
		if err := t.checkEmpty(ctx, o); err != nil {
			return err
		}
		body, err := json.MarshalIndent(claim{stream.Format, o}, "", "  ")
		if err != nil {
			return fmt.Errorf("catalog: claim: %w", err)
		}
		_, put := t.store.Put(ctx, claimKey, append(body, '\n'), store.Cond{IfNone: true})
		if put == nil {
			t.log.Info("table claimed", "table", t.name(), "path", t.store.Location()+claimKey)
			return nil
		}
		// Whether it landed, and who was first, is for what is there now to say.
		if have, err = t.readClaim(ctx); err != nil {
			return err
		}
		if have == nil {
			return t.fail("claim", put)
		}
	}
	if have.Pipeline == o.Pipeline && have.Incarnation == o.Incarnation {
		return nil
	}
	err = fmt.Errorf("catalog: %s belongs to pipeline %q with the ledger %s (%s): %w",
		t.ref.Location, have.Pipeline, have.Ledger, have.Incarnation, stream.ErrForeign)
	return stream.WithNext(err, "one table has one ledger: give this sink another location, or this pipeline its former ledger; "+
		"if that ledger is gone for good, move the old data away together with %s%s", t.store.Location(), claimKey)
}

// readClaim is the claim that is there; nil: none.
func (t *Table) readClaim(ctx context.Context) (*claim, error) {
	r, _, err := t.store.Get(ctx, claimKey, 0, -1)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil //nolint:nilnil // no claim is an answer
	}
	if err != nil {
		return nil, t.fail("read the claim of", err)
	}
	defer r.Close()
	body, err := io.ReadAll(io.LimitReader(r, 1<<16))
	if err != nil {
		return nil, t.fail("read the claim of", err)
	}
	var c claim
	if err := json.Unmarshal(body, &c); err != nil || c.Format < 1 || c.Incarnation == "" {
		err := fmt.Errorf("catalog: %s%s is not a claim: %w", t.store.Location(), claimKey, stream.ErrForeign)
		return nil, stream.WithNext(err, "something else wrote it; look at it, and remove it only if the table is this pipeline's")
	}
	if c.Format > stream.Format {
		err := fmt.Errorf("catalog: %s%s has format %d, this program knows %d: %w", t.store.Location(), claimKey, c.Format, stream.Format, stream.ErrPermanent)
		return nil, stream.WithNext(err, "run the newer millrace that wrote it")
	}
	return &c, nil
}

// checkEmpty refuses a folder in which somebody else has data.
func (t *Table) checkEmpty(ctx context.Context, o stream.Owner) error {
	n := 0
	for obj, err := range t.store.List(ctx, "", "") {
		if err != nil {
			return t.fail("list the folder of", err)
		}
		if foreignData(obj.Key, o.Incarnation) {
			err := fmt.Errorf("catalog: %s has data that this pipeline did not write, %q for one: %w", t.ref.Location, obj.Key, stream.ErrForeign)
			return stream.WithNext(err, "give the sink an empty location, or move those files away")
		}
		if n++; n == claimLook {
			break
		}
	}
	return nil
}

// foreignData tells whether a reader of the folder would take key for data, and it is not ours. Readers leave out what
// has "_" or "." in front, as we do.
func foreignData(key, incarnation string) bool {
	if strings.HasSuffix(key, "/") {
		return false // a folder's marker
	}
	for _, part := range strings.Split(key, "/") {
		if strings.HasPrefix(part, "_") && !strings.Contains(part, "=") || strings.HasPrefix(part, ".") {
			return false
		}
	}
	return !strings.HasPrefix(path.Base(key), incarnation+"-")
}

// ownerProperty is o as a property of a catalog's table.
func ownerProperty(o stream.Owner) string { return o.Pipeline + " " + o.Incarnation + " " + o.Ledger }

// checkOwner refuses a catalog table that does not name o.
func (t *Table) checkOwner(e *entry, o stream.Owner) error {
	prop, ok := e.Properties[propOwner]
	words := strings.SplitN(prop, " ", 3)
	if len(words) >= 2 && words[1] == o.Incarnation && (o.Pipeline == "" || words[0] == o.Pipeline) {
		return nil
	}
	if !ok && o.Pipeline == "" {
		err := fmt.Errorf("catalog: table %s lost the property %s, or was replaced by another: %w", t.name(), propOwner, stream.ErrForeign)
		return stream.WithNext(err, "restart the pipeline to be told the value that it must have, or drop the table from the catalog if it is not wanted")
	}
	if !ok {
		err := fmt.Errorf("catalog: table %s exists and was not made by this pipeline: %w", t.name(), stream.ErrForeign)
		return stream.WithNext(err, "choose another table name; or, if it is to be this pipeline's, set its property %s to %q", propOwner, ownerProperty(o))
	}
	err := fmt.Errorf("catalog: table %s belongs to %q: %w", t.name(), prop, stream.ErrForeign)
	return stream.WithNext(err, "one table has one ledger: choose another table name for this sink")
}
