package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"strings"
	"sync"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
)

// domains are an account's limits by recipient domain, and when each lets the next mail go, as far as this daemon has heard. The
// buckets decide; this spares them vain questions.
type domains struct {
	head   string // of the names of the buckets
	rates  map[string]jobfile.Rate
	others *jobfile.Rate // of each domain that has none of its own
	hashes map[uint32]bool

	mu    sync.Mutex
	turns map[string]*domainTurn // of those that wait
	used  map[string]time.Time   // when each was asked for last
	next  []string               // whose buckets are looked after next
}

func newDomains(conf *jobfile.Account) *domains {
	d := &domains{head: domainHead(conf), rates: map[string]jobfile.Rate{}, hashes: map[uint32]bool{}, turns: map[string]*domainTurn{}, used: map[string]time.Time{}}
	for _, limit := range conf.PerDomain {
		if limit.Name == "*" {
			d.others = &limit.Rate
			continue
		}
		d.rates[limit.Name] = limit.Rate
		d.hashes[domainHash(limit.Name)] = !limit.Rate.Unlimited
	}
	return d
}

// domainHash is outbox.rdom of rows to the domain.
func domainHash(domain string) uint32 { return crc32.ChecksumIEEE([]byte(domain)) }

// domainOf is the domain of an address.
func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// limit is how many mails go to the domain; false for one without.
func (d *domains) limit(domain string) (jobfile.Rate, bool) {
	rate, stated := d.rates[domain]
	if !stated && d.others != nil {
		return *d.others, true
	}
	return rate, stated && !rate.Unlimited
}

// bucket returns what limits mail to the domain; false when nothing does.
func (d *domains) bucket(domain string) (db.Bucket, bool) {
	rate, limited := d.limit(domain)
	if !limited {
		return db.Bucket{}, false
	}
	return db.Bucket{Name: d.head + domain[max(0, len(domain)-longDomain):], Windows: []db.Window{{N: rate.N, Per: rate.Per}}}, true
}

// longDomain is how much of a domain's name, from its end, stands in the name of its bucket; longName how much of the account's. The
// table has room for both, and longer ones must not stop the account.
const (
	longDomain = 110
	longName   = 120
)

// domainHead is what the names of the buckets for an account's recipient domains begin with.
func domainHead(conf *jobfile.Account) string {
	name := bucketName(conf)
	if len(name) > longName {
		sum := sha256.Sum256([]byte(name))
		name = name[:longName/2] + hex.EncodeToString(sum[:16])
	}
	return name + " to "
}

// bucketsOf returns what limits a mail to these recipients, each bucket once.
func (d *domains) bucketsOf(recipients []string) (list []db.Bucket) {
	if len(d.rates) == 0 && d.others == nil {
		return nil
	}
	seen := map[string]bool{}
	for _, to := range recipients {
		domain := domainOf(to)
		if b, limited := d.bucket(domain); limited && !seen[domain] {
			list = append(list, b)
		}
		seen[domain] = true
	}
	return list
}

// hold is how long after it was counted a mail may come to DATA, by the limits alone.
func (d *domains) hold() time.Duration {
	hold := db.Bucket{}.Hold()
	for _, limit := range d.rates {
		if limit.Unlimited {
			continue
		}
		hold = min(hold, db.Bucket{Windows: []db.Window{{N: limit.N, Per: limit.Per}}}.Hold())
	}
	if d.others != nil {
		hold = min(hold, db.Bucket{Windows: []db.Window{{N: d.others.N, Per: d.others.Per}}}.Hold())
	}
	return hold
}

// single tells whether one row at a time is to be taken of a domain, by its hash: more would be refused.
func (d *domains) single(hash uint32) bool {
	limited, stated := d.hashes[hash]
	return limited || !stated && d.others != nil
}

// full is why a take was refused: for the recipient domain that has to wait longest, or else for something that all mails wait for.
func (d *domains) full(waits map[string]time.Duration) error {
	full := &domainFullError{}
	for name, wait := range waits {
		if domain, own := strings.CutPrefix(name, d.head); own && wait > full.wait {
			full.domain, full.wait = domain, wait
		}
	}
	if full.wait == 0 {
		return errLost
	}
	return full
}

// limitText is the limit of a domain as in jobs.yaml; "" for one without.
func (d *domains) limitText(domain string) string {
	if rate, limited := d.limit(domain); limited {
		return rate.String()
	}
	return ""
}

const (
	tendAtOnce = 20             // buckets of domains that are looked after in one round
	unusedFor  = 72 * time.Hour // then a bucket's slots are all dropped, and it needs no more care
)

// tend looks after the clocks and the slots of some of the domains' buckets, each in its turn.
func (d *domains) tend(ctx context.Context, buckets *db.Buckets) error {
	for range tendAtOnce {
		b, more := d.nextToTend()
		if !more {
			return nil
		}
		if err := buckets.Tend(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// nextToTend takes the next domain of the round; false when the round is over.
func (d *domains) nextToTend() (db.Bucket, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.next) == 0 {
		for domain, last := range d.used {
			if d.next = append(d.next, domain); time.Since(last) > unusedFor {
				delete(d.used, domain)
			}
		}
		return db.Bucket{}, false
	}
	domain := d.next[0]
	d.next = d.next[1:]
	return d.bucket(domain)
}
