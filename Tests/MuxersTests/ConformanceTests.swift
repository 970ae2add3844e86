import Muxers
import Testing
import TestSupport

/// What any ``Muxer`` does, however the bytes travel. ``Pair`` checks the contract of events, handles and counters all along.
@Suite struct ConformanceTests {
    @Test(arguments: Kind.all, plans) func openAndAccept(kind: Kind, plan: FaultPlan) throws {
        let pair = kind.pair(plan)
        let stream = try pair.initiator.open()
        try pair.initiator.send([1, 2, 3], on: stream)
        try pair.settle()
        let accepted = try #require(pair.responder.accepted.first)
        #expect(pair.responder.accepted.count == 1)
        #expect(pair.responder.log(accepted).received == [1, 2, 3])
        #expect(pair.initiator.key(stream) == pair.responder.key(accepted))
        #expect(pair.initiator.muxer.isLocal(stream) && !pair.responder.muxer.isLocal(accepted))
        let (sent, received) = (pair.initiator.muxer.counters, pair.responder.muxer.counters)
        #expect(sent.streamsOpened == 1 && sent.streamsAccepted == 0)
        #expect(received.streamsOpened == 0 && received.streamsAccepted == 1)
        #expect(sent.sent.payloadBytes == 3 && received.received.payloadBytes == 3)
        try pair.checkLedger()
    }

    @Test(arguments: Kind.multiplexers, plans) func aStreamWithoutDataIsSeen(kind: Kind, plan: FaultPlan) throws {
        for opener in kind.openers {
            let pair = kind.pair(plan)
            let (near, far) = (pair.end(opener), pair.end(opener == .initiator ? .responder : .initiator))
            let stream = try near.open()
            try pair.settle()
            #expect(far.accepted.count == 1)
            try near.finish(stream)
            try pair.settle()
            let accepted = try #require(far.accepted.first)
            #expect(far.log(accepted).remoteHasFinished)
            try pair.checkLedger()
        }
    }

    @Test(arguments: Kind.all, plans) func bothDirectionsAtOnce(kind: Kind, plan: FaultPlan) throws {
        var random = SeededGenerator(seed: plan.seed)
        let pair = kind.pair(plan)
        let (near, far) = try pair.open()
        for _ in 0..<20 {
            try pair.initiator.send(random.bytes(random.size(upTo: 2000)), on: near)
            try pair.responder.send(random.bytes(random.size(upTo: 2000)), on: far)
            if random.oneIn(3) { try pair.turn() }
        }
        try pair.settle()
        #expect(pair.responder.log(far).received == pair.initiator.log(near).sent)
        #expect(pair.initiator.log(near).received == pair.responder.log(far).sent)
        try pair.checkLedger()
    }

    @Test(arguments: Kind.all, plans) func halfCloseByTheOpener(kind: Kind, plan: FaultPlan) throws {
        let pair = kind.pair(plan)
        let (near, far) = try pair.open(message: [1, 2])
        try pair.initiator.finish(near)
        try pair.initiator.finish(near)
        #expect(throws: MuxerError.sendSideClosed) { try pair.initiator.send([3], on: near) }
        try pair.settle()
        #expect(pair.responder.log(far).remoteHasFinished && !pair.responder.log(far).isClosed)
        try pair.responder.send([4, 5, 6], on: far)
        try pair.settle()
        #expect(pair.initiator.log(near).received == [4, 5, 6])
        try pair.responder.finish(far)
        try pair.settle()
        #expect(pair.initiator.log(near).isClosed && pair.responder.log(far).isClosed)
        #expect(pair.initiator.muxer.streamCount == 0 && pair.responder.muxer.streamCount == 0)
        try pair.checkLedger()
    }

    @Test(arguments: Kind.all, plans) func halfCloseByTheAccepter(kind: Kind, plan: FaultPlan) throws {
        let pair = kind.pair(plan)
        let (near, far) = try pair.open()
        try pair.responder.send([9], on: far)
        try pair.responder.finish(far)
        try pair.settle()
        #expect(pair.initiator.log(near).remoteHasFinished && pair.initiator.log(near).received == [9])
        try pair.initiator.send([1, 2, 3], on: near)
        try pair.settle()
        #expect(pair.responder.log(far).received == [1, 1, 2, 3])
        try pair.initiator.finish(near)
        try pair.settle()
        #expect(pair.initiator.log(near).isClosed && pair.responder.log(far).isClosed)
        try pair.checkLedger()
    }

    @Test(arguments: Kind.all, plans) func bothEndsFinishAtOnce(kind: Kind, plan: FaultPlan) throws {
        let pair = kind.pair(plan)
        let (near, far) = try pair.open()
        try pair.initiator.send([2], on: near)
        try pair.responder.send([3], on: far)
        try pair.initiator.finish(near)
        try pair.responder.finish(far)
        try pair.settle()
        #expect(pair.initiator.log(near).isClosed && pair.responder.log(far).isClosed)
        #expect(pair.initiator.log(near).received == [3] && pair.responder.log(far).received == [1, 2])
        try pair.checkLedger()
    }

    @Test(arguments: Kind.multiplexers, plans) func resetByEitherEnd(kind: Kind, plan: FaultPlan) throws {
        for resetter in [MuxerRole.initiator, .responder] {
            let pair = kind.pair(plan)
            let (near, far) = try pair.open()
            try pair.initiator.send([UInt8](repeating: 1, count: 3000), on: near)
            try pair.responder.send([UInt8](repeating: 2, count: 3000), on: far)
            try pair.turn()
            let (mine, theirs) = resetter == .initiator ? (near, far) : (far, near)
            pair.end(resetter).reset(mine, code: 7)
            #expect(pair.end(resetter).muxer.streamCount == 0)
            try pair.settle()
            let other = pair.end(resetter == .initiator ? .responder : .initiator)
            #expect(other.log(theirs).resetCode == (kind.hasResetCodes ? 7 : 0))
            #expect(other.muxer.streamCount == 0)
            #expect(other.muxer.counters.streamsReset == 1 && pair.end(resetter).muxer.counters.streamsReset == 1)
            // The connection goes on.
            let opener = kind.bothOpen ? resetter : .initiator
            let (again, accepted) = try pair.open(from: opener, message: [5])
            #expect(pair.end(opener == .initiator ? .responder : .initiator).log(accepted).received == [5])
            #expect(opener == resetter ? again != mine && accepted != theirs : again != theirs && accepted != mine)
            try pair.checkLedger()
        }
    }

    @Test(arguments: Kind.multiplexers, plans) func bothEndsResetAtOnce(kind: Kind, plan: FaultPlan) throws {
        let pair = kind.pair(plan)
        let (near, far) = try pair.open()
        pair.initiator.reset(near)
        pair.responder.reset(far)
        try pair.settle()
        #expect(pair.initiator.failure == nil && pair.responder.failure == nil)
        #expect(pair.initiator.muxer.streamCount == 0 && pair.responder.muxer.streamCount == 0)
        try pair.checkLedger()
    }

    @Test(arguments: Kind.multiplexers, plans) func aStreamResetBeforeItWasAnnounced(kind: Kind, plan: FaultPlan) throws {
        let pair = kind.pair(plan)
        for turns in 0..<4 {
            let stream = try pair.initiator.open()
            try pair.initiator.send([UInt8](repeating: 1, count: 300), on: stream)
            for _ in 0..<turns { try pair.turn() }
            pair.initiator.reset(stream)
        }
        try pair.settle()
        #expect(pair.initiator.failure == nil && pair.responder.failure == nil)
        #expect(pair.responder.muxer.streamCount == 0)
        let (_, accepted) = try pair.open(message: [5])
        #expect(pair.responder.log(accepted).received == [5])
        try pair.checkLedger()
    }

    /// The frame that opens a stream is in a write that has not completed, the stream is reset, and then the frame comes back.
    @Test(arguments: Kind.multiplexers, 0..<8) func aStreamResetWhileItsOpeningIsUnderWay(kind: Kind, turns: Int) throws {
        var plan = FaultPlan.calm()
        plan.pipeBytesMax = 1000
        plan.writesComplete = .later
        let pair = kind.pair(plan)
        let bulk = try pair.initiator.open()
        try pair.initiator.send([UInt8](repeating: 1, count: 100_000), on: bulk)
        try pair.turn()
        let stream = try pair.initiator.open()
        try pair.initiator.send([UInt8](repeating: 2, count: 300), on: stream)
        for _ in 0..<turns { try pair.turn() }
        pair.initiator.reset(stream)
        try pair.settle()
        #expect(pair.initiator.failure == nil)
        #expect(pair.responder.failure == nil)
        #expect(pair.responder.muxer.streamCount == 1)
        try pair.checkLedger()
    }

    @Test(arguments: Kind.multiplexers.filter(\.bothOpen), plans) func bothEndsOpenAtOnce(kind: Kind, plan: FaultPlan) throws {
        let pair = kind.pair(plan)
        for index in 0..<20 {
            for end in [pair.initiator, pair.responder] { try end.send([UInt8(index)], on: end.open()) }
        }
        try pair.settle()
        for end in [pair.initiator, pair.responder] {
            #expect(end.muxer.streamCount == 40)
            #expect(end.accepted.map { end.log($0).received } == (0..<20).map { [$0] })
        }
        try pair.checkLedger()
    }

    @Test(arguments: Kind.multiplexers) func tenThousandStreams(kind: Kind) throws {
        var plan = FaultPlan.calm()
        plan.pipeBytesMax = 1 << 20
        let pair = kind.pair(plan)
        let count = 10_000
        var streams: [StreamHandle] = []
        while streams.count < count {
            let stream = try pair.openWhenAllowed(from: .initiator)
            try pair.initiator.send([UInt8(truncatingIfNeeded: streams.count), UInt8(streams.count >> 8)], on: stream)
            streams.append(stream)
        }
        try pair.settle()
        #expect(pair.responder.muxer.streamCount == count)
        for (index, stream) in pair.responder.accepted.enumerated() {
            #expect(pair.responder.log(stream).received == [UInt8(truncatingIfNeeded: index), UInt8(index >> 8)])
            try pair.responder.send([UInt8(truncatingIfNeeded: index)], on: stream)
            try pair.responder.finish(stream)
        }
        for stream in streams { try pair.initiator.finish(stream) }
        try pair.settle()
        #expect(streams.enumerated().allSatisfy { pair.initiator.log($1).received == [UInt8(truncatingIfNeeded: $0)] })
        #expect(pair.initiator.muxer.streamCount == 0 && pair.responder.muxer.streamCount == 0)
        try pair.checkLedger()
    }

    @Test(arguments: Kind.multiplexers) func handlesAreUsedAgainAndOldOnesAreStale(kind: Kind) throws {
        let pair = kind.pair()
        var old: [StreamHandle] = []
        for index in 0..<300 {
            let (near, far) = try pair.open(message: [1, 2, 3])
            #expect(near.index < 4 && far.index < 4, "a place is used again")
            if index % 3 == 0 {
                pair.initiator.reset(near)
            } else {
                try pair.initiator.finish(near)
                try pair.responder.finish(far)
            }
            try pair.settle()
            old.append(near)
        }
        let (current, _) = try pair.open()
        for stream in old + [.none] {
            #expect(throws: MuxerError.unknownStream) { try pair.initiator.muxer.finish(stream) }
            #expect(throws: MuxerError.unknownStream) { try pair.initiator.send([1], on: stream) }
            pair.initiator.muxer.reset(stream, code: 0)
            pair.initiator.muxer.consume(stream, byteCount: 10)
            #expect(pair.initiator.muxer.ordinal(of: stream) == nil)
            #expect(pair.initiator.muxer.queuedByteCount(on: stream) == 0)
        }
        #expect(pair.initiator.muxer.streamCount == 1 && pair.initiator.muxer.ordinal(of: current) != nil)
        try pair.checkLedger()
    }

    @Test(arguments: Kind.multiplexers) func messagesAreNeitherMergedNorSentWhenEmpty(kind: Kind) throws {
        let pair = kind.pair()
        let (near, _) = try pair.open()
        let before = pair.initiator.muxer.counters.sent.dataFrames
        for _ in 0..<50 { try pair.initiator.send([1, 2, 3, 4], on: near) }
        #expect(try pair.initiator.send([], on: near) == 200)
        try pair.settle()
        #expect(pair.initiator.muxer.counters.sent.dataFrames - before == 50)
        try pair.checkLedger()
    }

    @Test(arguments: Kind.multiplexers, [0, 1, 1024, 2049, 5000]) func manyEventsInOneRead(kind: Kind, count: Int) throws {
        var plan = FaultPlan.calm()
        plan.pipeBytesMax = 8 << 20
        plan.transmitBytesMax = 8 << 20
        let pair = kind.pair(plan)
        let (near, far) = try pair.open()
        for _ in 0..<count { try pair.initiator.send([7], on: near) }
        try pair.settle()
        #expect(pair.responder.log(far).received.count == count + 1)
        try pair.checkLedger()
    }

    @Test(arguments: Kind.all + Kind.allMarked, plans) func largeMessagesCrossWhole(kind: Kind, plan: FaultPlan) throws {
        var random = SeededGenerator(seed: plan.seed)
        let pair = kind.pair(plan)
        let (near, far) = try pair.open()
        let message = random.bytes(plan.isTedious ? 70_000 : 300_000)
        try pair.initiator.send(message, on: near)
        try pair.initiator.finish(near)
        try pair.settle()
        #expect(pair.responder.log(far).received == [1] + message)
        #expect(pair.responder.log(far).remoteHasFinished)
        try pair.checkLedger()
    }

    /// Taking everything back and transmitting again leaves no trace.
    @Test(arguments: Kind.all, SeededGenerator.seeds(6)) func takingBackIsUndone(kind: Kind, seed: UInt64) throws {
        var plan = FaultPlan.calm(seed)
        plan.pipeBytesMax = 0
        let (pair, twin) = (kind.pair(plan), kind.pair(.calm(seed)))
        for one in [pair, twin] {
            var random = SeededGenerator(seed: seed)
            let count = kind.testDescription == "none" ? 1 : random.int(1...30)
            for _ in 0..<count {
                let stream = try one.initiator.open()
                for _ in 0..<random.int(0...4) { try one.initiator.send(random.bytes(random.size(upTo: 20_000)), on: stream) }
                if random.oneIn(3) { try one.initiator.finish(stream) }
                // Nothing fits into the pipe: what is transmitted comes back, again and again.
                for _ in 0..<10 { try one.turn() }
            }
        }
        #expect(pair.initiator.bytesWritten == 0)
        pair.widenPipes(to: 64 << 10)
        try pair.settle()
        try twin.settle()
        // What cannot be taken back was framed before the far end's settings were known, which allow more than the protocol's first windows.
        if kind.takesBack {
            #expect(pair.initiator.muxer.counters == twin.initiator.muxer.counters)
            #expect(pair.responder.muxer.counters.received == twin.responder.muxer.counters.received)
        }
        // Streams may be announced in another order, as others had data meanwhile.
        #expect(pair.responder.logs.mapValues(\.received) == twin.responder.logs.mapValues(\.received))
        try pair.checkLedger()
    }

    @Test(arguments: Kind.multiplexers, plans) func closeLetsOpenStreamsGoOn(kind: Kind, plan: FaultPlan) throws {
        let pair = kind.pair(plan)
        let (near, far) = try pair.open()
        pair.responder.muxer.close(code: .normal)
        pair.responder.muxer.close(code: .normal)
        #expect(throws: MuxerError.closing) { try pair.responder.open() }
        try pair.settle()
        if kind.hasGoAway {
            #expect(pair.initiator.goAwayCode == GoAwayCode.normal.rawValue)
            #expect(throws: MuxerError.goneAway(code: 0)) { try pair.initiator.open() }
        } else {
            let refused = try pair.initiator.open()
            try pair.initiator.send([1], on: refused)
            try pair.settle()
            #expect(pair.initiator.log(refused).resetCode == 0)
        }
        try pair.initiator.send([2], on: near)
        try pair.responder.send([3], on: far)
        try pair.initiator.finish(near)
        try pair.responder.finish(far)
        try pair.settle()
        #expect(pair.responder.log(far).received == [1, 2] && pair.initiator.log(near).received == [3])
        #expect(pair.initiator.log(near).isClosed && pair.responder.log(far).isClosed)
        try pair.checkLedger()
    }
}
