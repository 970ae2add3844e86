import Bytes
import CProbes
import Kernel

extension UringBackend {
    func handle(_ completion: Ring.Completion, _ client: any BackendClient) {
        guard let operation = Operation(rawValue: completion.tag & 0xff) else { return }
        if operation == .cancel { return }
        if operation == .wake {
            if !completion.hasMore { watchWakerAgain() }
            return
        }
        let token = Self.token(completion.tag)
        guard isLive(token) else { return }
        switch operation {
        case .receive: handleReceive(token, completion, client)
        case .accept: handleAccept(token, completion, client)
        case .send: handleSend(token, completion, client)
        case .connect: handleConnect(token, completion, client)
        case .watch: handleWatch(token, completion, client)
        case .cancel, .wake: break
        }
    }

    /// During the shutdown nobody hears of anything; only the books are kept.
    func handleAfterEnd(_ completion: Ring.Completion) {
        _ = ring.value.filled(completion)
        let operation = Operation(rawValue: completion.tag & 0xff)
        let token = Self.token(completion.tag)
        if operation == .accept, let descriptor = completion.value {
            Socket(descriptor: Int32(truncatingIfNeeded: descriptor)).close(counts: &syscalls.value)
        }
        if operation != .cancel, operation != .wake, !completion.hasMore, isLive(token) { complete(token) }
    }

    // MARK: Receiving

    private func handleReceive(_ token: Token, _ completion: Ring.Completion, _ client: any BackendClient) {
        let index = token.index
        if !completion.hasMore { slots.value[index].flags.subtract([.armed, .canceling]) }
        if let count = completion.value, count > 0 {
            syscalls.value.bytesReceived &+= UInt64(count)
            cp_read(Int(slots.value[index].socket.descriptor), count)
            // In a call of its own: when it returns, only a handler can still hold the block.
            if let id = deliver(token, completion, client) { provideAgain(id) }
        } else {
            if let id = ring.value.filled(completion)?.doneID { provideAgain(id) }
            if completion.value != nil {
                end(token, client)
            } else if completion.isOutOfBuffers {
                starve(token)
            } else if !completion.isCanceled, let error = completion.error("recv") {
                receiveFailed(token, ChannelError(error), client)
            }
        }
        if !completion.hasMore, isLive(token) {
            // Again, unless it was paused, ended or closed meanwhile; before the count falls, so that a closing slot is not vacated under it.
            arm(token)
            complete(token)
        }
    }

    /// Returns the buffer that the kernel is done with, if it is.
    private func deliver(_ token: Token, _ completion: Ring.Completion, _ client: any BackendClient) -> Int? {
        guard let filled = ring.value.filled(completion) else { return nil }
        let flags = slots.value[token.index].flags
        if flags.contains(.closing) { return filled.doneID }
        marks.value.note(filled.range.count, &slots.value[token.index].mark, token, slots.value[token.index].socket, &syscalls.value)
        if flags.contains(.receiving), !flags.contains(.resumed) {
            client.backendReceived(token, filled.block, filled.range)
        } else {
            held[token.index, default: Held()].slices.append(Slice(filled.block, filled.range))
        }
        return filled.doneID
    }

    /// When a part of the block was kept, another block takes its place.
    private func provideAgain(_ id: Int) {
        if ring.value.provideAgain(id) { return }
        vacantBuffers.append(id)
        fillBuffers()
    }

    private func starve(_ token: Token) {
        guard isOpen(token), slots.value[token.index].flags.isDisjoint(with: .starved) else { return }
        slots.value[token.index].flags.insert(.starved)
        starved.append(token)
    }

    private func end(_ token: Token, _ client: any BackendClient) {
        guard isOpen(token) else { return }
        let flags = slots.value[token.index].flags
        slots.value[token.index].flags.insert(.ended)
        // Nothing receives any more, so nothing else would learn of a reset.
        slots.value[token.index].inFlight += 1
        ring.value.poll(slots.value[token.index].socket.descriptor, .errorsOnly, tag: Self.tag(token, .watch), counts: &syscalls.value)
        if flags.contains(.receiving), held[token.index] == nil {
            client.backendEnded(token)
        } else {
            held[token.index, default: Held()].hasEnded = true
        }
    }

    private func receiveFailed(_ token: Token, _ error: ChannelError, _ client: any BackendClient) {
        guard isOpen(token) else { return }
        if held[token.index] == nil {
            fail(token, error, client)
        } else {
            held[token.index]?.failure = error
            slots.value[token.index].flags.insert(.ended)
        }
    }

    /// What arrived during a pause, in order, as far as the owner wants it.
    func deliverHeld(_ client: any BackendClient) -> Int {
        guard !resumed.isEmpty else { return 0 }
        let tokens = resumed
        resumed.removeAll(keepingCapacity: true)
        for token in tokens where isOpen(token) {
            slots.value[token.index].flags.remove(.resumed)
            guard var rest = held.removeValue(forKey: token.index) else { continue }
            var delivered = 0
            while delivered < rest.slices.count, isOpen(token), slots.value[token.index].flags.contains(.receiving) {
                client.backendReceived(token, rest.slices[delivered].block, rest.slices[delivered].range)
                delivered += 1
            }
            guard isOpen(token) else { continue }
            rest.slices.removeFirst(delivered)
            if !rest.slices.isEmpty || !slots.value[token.index].flags.contains(.receiving) {
                if !rest.slices.isEmpty || rest.hasEnded || rest.failure != nil { held[token.index] = rest }
            } else if let failure = rest.failure {
                fail(token, failure, client)
            } else if rest.hasEnded {
                client.backendEnded(token)
            }
            if isOpen(token) { arm(token) }
        }
        return tokens.count
    }

    // MARK: Accepting and connecting

    private func handleAccept(_ token: Token, _ completion: Ring.Completion, _ client: any BackendClient) {
        if let descriptor = completion.value {
            let socket = Socket(descriptor: Int32(truncatingIfNeeded: descriptor))
            syscalls.value.accept &+= 1
            accepted(socket, by: token, client)
        } else if isOpen(token), !completion.isCanceled, let error = completion.error("accept") {
            slots.value[token.index].flags.remove(.receiving)
            client.backendAcceptFailed(ChannelError(error), by: token)
        }
        if !completion.hasMore, isLive(token) {
            slots.value[token.index].flags.subtract([.armed, .canceling])
            arm(token)
            complete(token)
        }
    }

    private func accepted(_ socket: Socket, by listener: Token, _ client: any BackendClient) {
        guard isOpen(listener), let setup = listeners[listener.index] else { return socket.close(counts: &syscalls.value) }
        do throws(Errno) {
            let remote = try socket.remoteAddress()
            try socket.tuneAccepted(setup.options, from: remote, listeningOn: setup.address, counts: &syscalls.value)
            let token = insert(socket, [])
            slots.value[token.index].mark = LowWaterMarks.State(setup.options)
            client.backendAccepted(token, from: remote, by: listener)
        } catch {
            // The connection was gone before it was accepted.
            socket.close(counts: &syscalls.value)
        }
    }

    private func handleConnect(_ token: Token, _ completion: Ring.Completion, _ client: any BackendClient) {
        defer { if isLive(token) { complete(token) } }
        guard isOpen(token) else { return }
        if let error = completion.error("poll") ?? slots.value[token.index].socket.takeError("connect", counts: &syscalls.value) {
            fail(token, ChannelError(error), client)
        } else {
            client.backendConnected(token)
        }
    }

    // MARK: Sending and ending

    private func handleSend(_ token: Token, _ completion: Ring.Completion, _ client: any BackendClient) {
        let index = token.index
        slots.value[index].flags.remove(.sending)
        let owner = owners[index].take()
        defer { if isLive(token) { complete(token) } }
        syscalls.value.bytesSent &+= UInt64(completion.value ?? 0)
        cp_write(Int(slots.value[index].socket.descriptor), completion.value ?? -1, 0)
        // The owner is let go last: its memory was the kernel's until here.
        withExtendedLifetime(owner) {
            guard isOpen(token) else { return }
            if let error = completion.error("sendmsg") { sendFailures[index] = ChannelError(error) }
            // After a failure nothing was sent, and the next send says why.
            client.backendSent(token, completion.value ?? 0)
        }
    }

    private func handleWatch(_ token: Token, _ completion: Ring.Completion, _ client: any BackendClient) {
        defer { if isLive(token) { complete(token) } }
        guard isOpen(token), !completion.isCanceled else { return }
        if let error = slots.value[token.index].socket.takeError("recv", counts: &syscalls.value) { receiveFailed(token, ChannelError(error), client) }
    }

    private func fail(_ token: Token, _ error: ChannelError, _ client: any BackendClient) {
        close(token)
        client.backendFailed(token, error)
    }
}
