package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/millrace/millrace/stream"
)

const (
	probeRounds  = 20
	probeWriters = 32
	// assumedAbortAge is taken when a bucket's lifecycle rules say nothing, or may not be read.
	assumedAbortAge = 24 * time.Hour
)

// ProbeResult is what Probe found, to be kept so that it need not be asked again at every start.
type ProbeResult struct {
	Format   int       `json:"format"`
	Location string    `json:"location"`
	Tables   []string  `json:"tables"`
	Time     time.Time `json:"time"`
	Rounds   int       `json:"rounds"` // of conditional writes, of each kind
	Writers  int       `json:"writers"`
	// RepeatedComplete is what completing an upload again answers, by table: "ok" or "no_upload". Both are fine.
	RepeatedComplete []string `json:"repeated_complete"`
	// AbortAge is the age at which the stores of the tables abort uploads: by their lifecycle rules, else assumed.
	AbortAge time.Duration `json:"abort_age_ns"`
}

// Probe proves that the ledger's store and the tables' stores do what exactly-once stands on, and fails closed: a
// stream.ErrPermanent with the advice what to do, when one of them does not. Other classes (unavailable, denied) mean that
// it could not be found out. It takes about 1,300 small requests and leaves nothing behind.
//
// Of the ledger's store: of concurrent conditional writes of one key at most one is accepted, in 20 rounds of 32 for each
// condition, and what is read afterwards is the accepted one; If-Match on a missing key fails. Of each table's store: a
// missing key answers as missing, not as forbidden; an upload is invisible until it is completed; completing it again does
// no harm; its metadata and size can be asked.
func Probe(ctx context.Context, ledger Client, tables ...Client) (ProbeResult, error) {
	r := ProbeResult{Format: stream.Format, Location: ledger.Location(), Time: time.Now().UTC(), Rounds: probeRounds, Writers: probeWriters,
		Tables: []string{}, RepeatedComplete: []string{}, AbortAge: math.MaxInt64}
	p := prober{c: ledger, dir: "_millrace/probe-" + rand.Text() + "/"}
	defer p.clean(context.WithoutCancel(ctx))
	if err := p.conditions(ctx); err != nil {
		return ProbeResult{}, err
	}
	for _, t := range tables {
		p := prober{c: t, dir: p.dir}
		again, err := p.uploads(ctx)
		p.clean(context.WithoutCancel(ctx))
		if err != nil {
			return ProbeResult{}, err
		}
		age, err := abortAge(ctx, t)
		if err != nil {
			return ProbeResult{}, err
		}
		r.Tables = append(r.Tables, t.Location())
		r.RepeatedComplete = append(r.RepeatedComplete, again)
		r.AbortAge = min(r.AbortAge, age)
	}
	return r, nil
}

// abortAge asks a store that knows.
func abortAge(ctx context.Context, c Client) (time.Duration, error) {
	if a, ok := c.(interface {
		AbortAge(ctx context.Context) (time.Duration, error)
	}); ok {
		return a.AbortAge(ctx)
	}
	return assumedAbortAge, nil
}

type prober struct {
	c   Client
	dir string
}

func (p *prober) refuse(next, format string, args ...any) error {
	return stream.WithNext(fmt.Errorf("store: probe of %s: %w: %s", p.c.Location(), stream.ErrPermanent, fmt.Sprintf(format, args...)), "%s", next)
}

const otherLedger = "keep the ledger in a store with conditional writes (AWS S3, or a compatible one that has If-Match and If-None-Match), " +
	"or in a folder on a local disk"

// conditions runs the rounds. Writers that got no clear answer may have written, so they count as possible winners.
func (p *prober) conditions(ctx context.Context) error {
	missing := p.dir + "missing"
	_, err := p.c.Put(ctx, missing, []byte("x"), Cond{IfMatch: `"d41d8cd98f00b204e9800998ecf8427e"`})
	if err == nil {
		return p.refuse(otherLedger, "a write with If-Match to a key that does not exist was accepted")
	}
	if !errors.Is(err, ErrPrecondition) && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("probe: %w", err)
	}
	swaps, creations := 0, 0
	tag := ""
	for round := range probeRounds {
		won, _, err := p.round(ctx, fmt.Sprintf("%snew-%d", p.dir, round), Cond{IfNone: true})
		if err != nil {
			return err
		}
		creations += won
		cond := Cond{IfMatch: tag, IfNone: tag == ""}
		won, next, err := p.round(ctx, p.dir+"swap", cond)
		if err != nil {
			return err
		}
		if tag != "" {
			swaps += won
		}
		tag = next
	}
	if swaps == 0 || creations == 0 {
		return p.refuse(otherLedger, "of %d rounds of concurrent conditional writes none was ever accepted (%d creations, %d swaps)",
			probeRounds, creations, swaps)
	}
	return nil
}

// round lets all writers write at once and returns how many were told that they won (0 or 1), and the tag that is there.
func (p *prober) round(ctx context.Context, key string, c Cond) (won int, tag string, err error) {
	errs := make([]error, probeWriters)
	bodies := make([][]byte, probeWriters)
	var wg sync.WaitGroup
	for i := range errs {
		bodies[i] = fmt.Appendf(nil, "%s %02d", rand.Text(), i)
		wg.Go(func() { _, errs[i] = p.c.Put(ctx, key, bodies[i], c) })
	}
	wg.Wait()
	var winner []byte
	unknown := false
	var last error
	for i, err := range errs {
		switch {
		case err == nil:
			won++
			winner = bodies[i]
		case errors.Is(err, ErrPrecondition):
		case errors.Is(err, stream.ErrUnavailable):
			unknown, last = true, err
		default:
			return 0, "", fmt.Errorf("probe: %w", err)
		}
	}
	if won > 1 {
		return 0, "", p.refuse(otherLedger, "of %d concurrent writes with a condition that one of them can meet, %d were accepted", probeWriters, won)
	}
	r, o, err := p.c.Get(ctx, key, 0, -1)
	if errors.Is(err, ErrNotFound) && won == 0 && last != nil {
		return 0, "", fmt.Errorf("probe: %w", last)
	}
	if err != nil {
		return 0, "", fmt.Errorf("probe: %w", err)
	}
	b, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		return 0, "", fmt.Errorf("probe: %w", err)
	}
	if won == 1 && !unknown && !bytes.Equal(b, winner) {
		return 0, "", p.refuse(otherLedger, "after a conditional write was accepted, another writer's content was read")
	}
	return won, o.ETag, nil
}

// uploads checks what publishing needs, and returns what a repeated Complete answers.
func (p *prober) uploads(ctx context.Context) (again string, err error) {
	const grant = "grant these credentials s3:ListBucket on the bucket, so that a missing object can be told from a forbidden one"
	key := p.dir + "upload"
	invisible := func(when string) error {
		_, err := p.c.Head(ctx, key)
		switch {
		case errors.Is(err, stream.ErrDenied):
			return stream.WithNext(fmt.Errorf("store: probe of %s: asking for a missing object: %w", p.c.Location(), err), grant)
		case err == nil:
			return p.refuse("keep tables in a store with multipart uploads like those of S3", "an upload is visible %s", when)
		case !errors.Is(err, ErrNotFound):
			return fmt.Errorf("probe: %w", err)
		}
		for _, err := range p.c.List(ctx, key, "") {
			if err == nil {
				err = p.refuse("keep tables in a store with multipart uploads like those of S3", "an upload is listed %s", when)
			}
			return err
		}
		return nil
	}
	if err := invisible("before it began"); err != nil {
		return "", err
	}
	id, err := p.c.Create(ctx, key, map[string]string{"millrace-probe": "1"})
	if err != nil {
		return "", fmt.Errorf("probe: %w", err)
	}
	defer p.c.Abort(context.WithoutCancel(ctx), key, id) //nolint:errcheck // completed, or left to the store's own rules
	part, err := p.c.Part(ctx, key, id, 1, []byte("probe"))
	if err != nil {
		return "", fmt.Errorf("probe: %w", err)
	}
	if err := invisible("before it is completed"); err != nil {
		return "", err
	}
	if err := p.c.Complete(ctx, key, id, []Part{part}); err != nil {
		return "", fmt.Errorf("probe: %w", err)
	}
	switch err := p.c.Complete(ctx, key, id, []Part{part}); {
	case err == nil:
		again = "ok"
	case errors.Is(err, ErrNoUpload):
		again = "no_upload"
	default:
		return "", fmt.Errorf("probe: completing an upload again: %w", err)
	}
	o, err := p.c.Head(ctx, key)
	if err != nil {
		return "", fmt.Errorf("probe: after completing an upload twice: %w", err)
	}
	if o.Size != 5 || o.Meta["millrace-probe"] != "1" {
		return "", p.refuse("keep tables in a store that keeps the metadata of uploads", "a completed upload has %d bytes and metadata %v, instead of 5 and millrace-probe", o.Size, o.Meta)
	}
	return again, nil
}

// clean removes what the probe wrote. What it cannot remove harms nobody.
func (p *prober) clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for o, err := range p.c.List(ctx, p.dir, "") {
		if err != nil {
			break
		}
		wg.Go(func() { _ = p.c.Delete(ctx, o.Key) })
	}
	wg.Wait()
}
