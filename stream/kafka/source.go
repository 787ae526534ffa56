package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"

	"github.com/millrace/millrace/stream"
)

// Deps is what a Source works with. Only Pipeline is needed.
type Deps struct {
	Pipeline string
	Session  string // one life of one worker; for logs and the client id
	Log      *slog.Logger
	Metrics  prometheus.Registerer
	Budget   *stream.Budget // counts fetched bytes until their batches are released

	// Once bounds the input: each partition ends at what could be read of it when Discover first saw it, or when it was
	// first opened; then Reader.Next returns stream.ErrEnd.
	Once bool

	// SessionTimeout is after how long without a heartbeat the group takes this worker for dead. The default, 15 s, is
	// five heartbeats: a killed worker's lanes move soon, and a long pause of the machine moves none.
	SessionTimeout time.Duration
	// RebalanceTimeout is how long the group waits for members that give lanes up; a flush gets half of it. The default
	// is 60 s: 30 s are enough for the tail of an upload, most of which has left before.
	RebalanceTimeout time.Duration
	// MetadataAge is how soon new partitions and topics are seen. The default is 10 s: one small request a worker.
	MetadataAge time.Duration
	// Patience is how long a fault that may be a broker's stale view (a topic or partition that is missing, another topic
	// id, an end below the position) has to stay before it halts the partition. The default is 10 s.
	Patience time.Duration

	Options []kgo.Opt // for tests: a dialer
}

// Source reads topics of one Kafka cluster. Create it with New.
type Source struct {
	c     Config
	d     Deps
	wants func(topic string) bool
	tls   *tls.Config
	sasl  sasl.Mechanism
	pool  *pool
	m     *metrics

	mu      sync.Mutex
	admin   *kgo.Client // for questions; made at the first one
	group   *kgo.Client // of the member that Assign runs
	cluster string
	ends    map[topicPartition]int64 // of bounded input
	readers map[*reader]struct{}
	closed  bool
	trouble error // see Trouble
}

var _ stream.Source = (*Source)(nil)

// New checks files and options, and starts and asks nothing.
func New(c Config, d Deps) (*Source, error) {
	if c.Group == "" {
		c.Group = "millrace." + d.Pipeline
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Budget == nil {
		d.Budget = &stream.Budget{}
	}
	for _, t := range []struct {
		d   *time.Duration
		def time.Duration
	}{{&d.SessionTimeout, 15 * time.Second}, {&d.RebalanceTimeout, time.Minute}, {&d.MetadataAge, 10 * time.Second}, {&d.Patience, 10 * time.Second}} {
		if *t.d <= 0 {
			*t.d = t.def
		}
	}
	s := &Source{c: c, d: d, wants: c.wants(), pool: newPool(), ends: map[topicPartition]int64{}, readers: map[*reader]struct{}{}}
	if fs := c.Validate(); len(fs) > 0 {
		return nil, fmt.Errorf("kafka: %s: %s: %w", fs[0].Path, fs[0].Text, stream.ErrPermanent)
	}
	if c.TLS != nil {
		t, err := c.TLS.config()
		if err != nil {
			return nil, err
		}
		s.tls = t
	}
	if c.SASL != nil {
		s.sasl = c.SASL.mechanism()
	}
	m, err := newMetrics(d.Metrics, s)
	if err != nil {
		return nil, fmt.Errorf("kafka: metrics: %w: %w", stream.ErrPermanent, err)
	}
	s.m = m
	return s, nil
}

// Trouble is why this worker takes no part in its consumer group just now, so that it can be given no lanes; nil: it does take part,
// or is about to join for the first time. It heals by itself.
func (s *Source) Trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble
}

func (s *Source) setTrouble(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = err
}

// ask is the admin client for one call, with the call's context bounded.
func (s *Source) ask(ctx context.Context) (context.Context, context.CancelFunc, *kadm.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, nil, errClosed
	}
	if s.admin == nil {
		cl, err := s.connect("admin", kgo.RetryTimeout(retryTimeout))
		if err != nil {
			return nil, nil, nil, err
		}
		s.admin = cl
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	return ctx, cancel, kadm.NewClient(s.admin), nil
}

// a sentinel
var errNoTopic = errors.New("does not exist")

// a sentinel
var errClosed = fmt.Errorf("kafka: the source is closed: %w", stream.ErrPermanent)

// ClusterID is the id that the brokers give their cluster. It stays the same for a source's life: a bootstrap address that
// comes to lead to another cluster is an error.
func (s *Source) ClusterID(ctx context.Context) (string, error) {
	ctx, cancel, adm, err := s.ask(ctx)
	if err != nil {
		return "", err
	}
	defer cancel()
	m, err := adm.BrokerMetadata(ctx)
	if err != nil {
		return "", s.classify("ask for the cluster's id", err)
	}
	return m.Cluster, s.sameCluster(m.Cluster)
}

// sameCluster remembers the first cluster id seen and refuses another. Brokers without one send none.
func (s *Source) sameCluster(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == "" {
		return nil
	}
	if s.cluster == "" {
		s.cluster = id
	}
	if s.cluster == id {
		return nil
	}
	err := fmt.Errorf("kafka: the brokers belong to cluster %s, and reading began in cluster %s: %w", id, s.cluster, stream.ErrPermanent)
	return stream.WithNext(err, "point source.kafka.brokers at the old cluster, or give the new one a pipeline of its own, with its own ledger")
}

// Discover lists the partitions that exist now, start_at resolved to positions.
func (s *Source) Discover(ctx context.Context) ([]stream.Start, error) {
	ctx, cancel, adm, err := s.ask(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	topics, err := s.topics(ctx, adm)
	if err != nil {
		return nil, err
	}
	list, at := adm.ListStartOffsets, "the beginning"
	switch s.c.StartAt {
	case earliest, "":
	case latest:
		list, at = s.listEnds(adm), "the end"
	default:
		t, err := time.Parse(time.RFC3339, s.c.StartAt)
		if err != nil {
			return nil, fmt.Errorf("kafka: start_at: %w: %w", stream.ErrPermanent, err)
		}
		at = s.c.StartAt
		list = func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
			return adm.ListOffsetsAfterMilli(ctx, t.UnixMilli(), topics...)
		}
	}
	starts, missing, err := s.starts(ctx, topics, nil, list)
	if err != nil {
		return nil, s.classify("find "+at+" of the topics", err)
	}
	if len(missing) > 0 {
		return nil, s.classify("find "+at+" of "+string(missing[0].id()), errors.New("its leader is away"))
	}
	if s.d.Once {
		ends, err := s.listEnds(adm)(ctx, topics.Names()...)
		if err != nil {
			return nil, s.classify("find the end of the topics", err)
		}
		ends.Each(func(o kadm.ListedOffset) {
			if o.Err == nil && o.Offset >= 0 {
				s.endOf(topicPartition{o.Topic, o.Partition}, o.Offset)
			}
		})
	}
	return starts, nil
}

// listEnds lists what can be read at the configured isolation: the last stable offset or the high watermark.
func (s *Source) listEnds(adm *kadm.Client) func(context.Context, ...string) (kadm.ListedOffsets, error) {
	if s.c.Isolation == readUncommitted {
		return adm.ListEndOffsets
	}
	return adm.ListCommittedOffsets
}

// endOf is where a partition of bounded input ends: the first offset that was seen as its end.
func (s *Source) endOf(tp topicPartition, seen int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.ends[tp]; !ok {
		s.ends[tp] = seen
	}
	return s.ends[tp]
}

const (
	// newTopicWait is for how long a topic that a broker does not know is asked for again: one that was just created takes
	// brokers a moment.
	newTopicWait = 2 * time.Second
	newTopicPoll = 200 * time.Millisecond
)

// topics is look, with patience for topics that were just created.
func (s *Source) topics(ctx context.Context, adm *kadm.Client) (kadm.TopicDetails, error) {
	for until := time.Now().Add(newTopicWait); ; {
		topics, err := s.look(ctx, adm)
		if !errors.Is(err, errNoTopic) || !time.Now().Before(until) {
			return topics, err
		}
		t := time.NewTimer(newTopicPoll)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, err
		case <-t.C:
		}
	}
}

// look describes the topics that the configuration names or matches, and refuses what is not there.
func (s *Source) look(ctx context.Context, adm *kadm.Client) (kadm.TopicDetails, error) {
	m, err := adm.Metadata(ctx, s.c.Topics...) // with a pattern: all
	if err != nil {
		return nil, s.classify("ask for the topics", err)
	}
	if err := s.sameCluster(m.Cluster); err != nil {
		return nil, err
	}
	found := kadm.TopicDetails{}
	for name, t := range m.Topics {
		if s.wants(name) {
			found[name] = t
		}
	}
	for _, name := range found.Names() {
		t := found[name]
		if isMissing(t.Err) {
			return nil, s.noTopic(ctx, adm, fmt.Sprintf("topic %q", name), name)
		}
		if t.Err != nil {
			return nil, s.classify(fmt.Sprintf("topic %q", name), t.Err)
		}
		if topicID(t.ID) == "" && s.c.Identity == identityID {
			err := fmt.Errorf("kafka: topic %q has no topic id on these brokers: %w", name, stream.ErrPermanent)
			return nil, stream.WithNext(err, "write identity: name under source.kafka; a topic created anew is then not noticed")
		}
	}
	if len(found) == 0 {
		return nil, s.noTopic(ctx, adm, fmt.Sprintf("a topic that matches topic_pattern %q", s.c.TopicPattern), s.c.TopicPattern)
	}
	return found, nil
}

func (s *Source) noTopic(ctx context.Context, adm *kadm.Client, what, name string) error {
	err := fmt.Errorf("kafka: %s %w: %w", what, errNoTopic, stream.ErrPermanent)
	all, lerr := adm.ListTopics(ctx)
	if lerr != nil {
		return stream.WithNext(err, "create it, or correct source.kafka.topics")
	}
	near := nearest(name, all.Names())
	if len(near) == 0 {
		return stream.WithNext(err, "create it, or correct source.kafka.topics; this user sees no topics here")
	}
	return stream.WithNext(err, "create it, or correct source.kafka.topics; there are: %s", quoted(near))
}

// starts resolves positions of partitions: of all of topics, or of those in only. missing are those without an answer.
func (s *Source) starts(ctx context.Context, topics kadm.TopicDetails, only map[topicPartition]bool,
	list func(context.Context, ...string) (kadm.ListedOffsets, error),
) (starts []stream.Start, missing []topicPartition, err error) {
	offsets, err := list(ctx, topics.Names()...)
	if err != nil && len(offsets) == 0 {
		return nil, nil, err
	}
	for _, t := range topics.Sorted() {
		for _, p := range t.Partitions.Sorted() {
			tp := topicPartition{t.Topic, p.Partition}
			if only != nil && !only[tp] {
				continue
			}
			o, ok := offsets.Lookup(t.Topic, p.Partition)
			if !ok || o.Err != nil || o.Offset < 0 {
				missing = append(missing, tp)
				continue
			}
			id := topicID(t.ID)
			if s.c.Identity == identityName {
				id = ""
			}
			starts = append(starts, stream.Start{
				Bookmark: stream.Bookmark{Partition: tp.id(), Position: position(o.Offset), TopicID: id, LeaderEpoch: -1},
				ID:       tp.id(), Slot: tp.slot(),
			})
		}
	}
	slices.SortFunc(missing, compare)
	return starts, missing, nil
}

// Close ends what Assign and Open have left behind. Readers are closed by whoever opened them, before.
func (s *Source) Close() error {
	s.mu.Lock()
	admin := s.admin
	s.admin, s.closed = nil, true
	s.mu.Unlock()
	if admin != nil {
		admin.Close()
	}
	s.m.unregister()
	return nil
}
