package storetest

import (
	"testing"

	"github.com/oidcgate/oidcgate/store"
)

// Run tests a store against each rule of [store.Store], in one subtest per rule. It calls
// fresh once for each subtest, with the subtest's t, to make an empty place for records.
// Each call of open returns a store for that place, before Open. If the records live in a
// value of the program, open always returns that value. The suite opens and closes the
// stores. It calls open from one goroutine at a time. Subtests run one after the other.
func Run(t *testing.T, fresh func(t *testing.T) (open func() store.Store)) {
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) { rule.check(place{t, fresh(t)}) })
	}
}

// rules are the rules that Run tests, by name.
var rules = []struct {
	name  string
	check func(place)
}{
	{"a record comes back as it was put", recordComesBack},
	{"any bytes are kept", anyBytesAreKept},
	{"no data is empty data", noDataIsEmptyData},
	{"an expiry is kept to the millisecond", expiryIsKept},
	{"any key is kept and found", anyKeyIsKept},
	{"any ID is kept", anyIDIsKept},
	{"a kind is a space of its own", kindIsASpaceOfItsOwn},
	{"slices are not kept", slicesAreNotKept},

	{"what is not there is not found", nothingIsNotFound},
	{"an insert of what is there is a conflict", insertOfWhatIsThere},
	{"versions count from one", versionsCount},
	{"a put of another version is a conflict", putOfAnotherVersion},
	{"a delete of another version is a conflict", deleteOfAnotherVersion},

	{"a record is found by each of its keys", foundByEachKey},
	{"the empty key finds all of a kind", emptyKeyFindsAll},
	{"a record is found by its present keys alone", foundByPresentKeys},
	{"pages are in the order of bytes", pagesAreInOrder},
	{"pages are complete for every limit", pagesAreComplete},
	{"pages miss nothing while others write", pagesWhileOthersWrite},

	{"a record is there until it expires", thereUntilItExpires},
	{"purge takes what expires now or earlier", purgeBoundary},
	{"purge goes by the time it is given", purgeGoesByItsTime},
	{"purge keeps to its limit and counts", purgeKeepsToItsLimit},
	{"purge sees the present expiry", purgeSeesPresentExpiry},
	{"purge leaves nothing of a record", purgeLeavesNothing},
	{"purge loses no live record while others write", purgeWhileOthersWrite},

	{"an ended context fails every call", endedContext},
	{"a call cancelled midway is done or not done", cancelledMidway},

	{"of many inserts one wins", oneInsertWins},
	{"of many changes one wins", oneChangeWins},
	{"no update is lost", noUpdateIsLost},

	{"ten may open at once", tenOpenAtOnce},
	{"opening again keeps the records", openingAgain},
	{"records outlive a handle", recordsOutliveAHandle},
	{"handles see the writes of each other", handlesSeeEachOther},
	{"closing twice is no error", closingTwice},

	{"random operations do as the model does", randomOperations},
}
