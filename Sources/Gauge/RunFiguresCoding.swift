/// Figures that follow from others. They are written into the record and ignored when it is read.
extension RunFigures {
    /// By the ledger, or by the kernel's count where there is no ledger.
    public var frameOverheadRatio: Measured<Double> {
        guard ledger.absence != nil else { return ledger.total.frameOverheadRatio }
        switch wire {
        case .value(let wire): return wire.overheadRatio
        case .unavailable(let reason): return .unavailable(reason)
        }
    }

    public var cpuSeconds: BothSides<Measured<Double>> {
        BothSides(
            client: cpuUserSeconds.client.combined(with: cpuSystemSeconds.client, +),
            server: cpuUserSeconds.server.combined(with: cpuSystemSeconds.server, +))
    }

    public var cpuSecondsPerGiB: BothSides<Measured<Double>> {
        cpuSeconds.map { per(payloadBytes, $0, unit: Double(1 << 30), else: Self.noPayload) }
    }

    public var cpuNanosecondsPerMessage: BothSides<Measured<Double>> {
        cpuSeconds.map { per(messages, $0, unit: 1e9, else: Self.noMessages) }
    }

    /// All system calls of a side.
    public var syscallsTotal: BothSides<Measured<UInt64>> {
        syscalls.map { $0.map { $0.values.reduce(0, &+) } }
    }

    public var syscallsPerMiB: BothSides<Measured<Double>> {
        syscallsTotal.map { per(payloadBytes, $0.map { Double($0) }, unit: Double(1 << 20), else: Self.noPayload) }
    }

    public var syscallsPerMessage: BothSides<Measured<Double>> {
        syscallsTotal.map { per(messages, $0.map { Double($0) }, else: Self.noMessages) }
    }

    public var allocationsPerMessage: BothSides<Measured<Double>> {
        allocations.map { per(messages, $0.map { Double($0) }, else: Self.noMessages) }
    }

    /// Both sides together.
    public var bytesCopiedTotal: Measured<UInt64> { bytesCopied.client.combined(with: bytesCopied.server, &+) }

    public var copiesPerPayloadByte: Measured<Double> {
        per(payloadBytes, bytesCopiedTotal.map { Double($0) }, else: Self.noPayload)
    }

    public var framesPerWrite: BothSides<Measured<Double>> {
        func ratio(_ frames: Measured<UInt64>, _ writes: Measured<UInt64>) -> Measured<Double> {
            guard writes.value != 0 else { return .unavailable("nothing was written") }
            return frames.combined(with: writes) { Double($0) / Double($1) }
        }
        return BothSides(client: ratio(framesSent.client, writes.client), server: ratio(framesSent.server, writes.server))
    }

    /// Mean payload of a frame, both sides together.
    public var bytesPerFrame: Measured<Double> {
        let frames = framesSent.client.combined(with: framesSent.server, &+)
        guard frames.value != 0 else { return .unavailable("no frames were sent") }
        return frames.map { Double(payloadBytes) / Double($0) }
    }

    private static let noPayload = "no payload was carried"
    private static let noMessages = "no messages were completed"

    /// `amount` for each of `count` things, times `unit`.
    private func per(_ count: UInt64, _ amount: Measured<Double>, unit: Double = 1, else reason: String) -> Measured<Double> {
        guard count > 0 else { return .unavailable(reason) }
        return amount.map { $0 * unit / Double(count) }
    }
}

extension RunFigures {
    enum CodingKeys: String, CodingKey {
        case repeatIndex = "repeat"
        case valid
        case invalidReasons = "invalid_reasons"
        case partial
        case startedAt = "started_at"
        case durationSeconds = "duration_seconds"
        case payloadBytes = "payload_bytes"
        case messages, failures
        case goodputBytesPerSecond = "goodput_bytes_per_second"
        case goodputUpBytesPerSecond = "goodput_up_bytes_per_second"
        case goodputDownBytesPerSecond = "goodput_down_bytes_per_second"
        case messagesPerSecond = "messages_per_second"
        case latency = "latency_ns"
        case service = "service_ns"
        case pacerLateness = "pacer_lateness_ns"
        case connectSteps = "connect_steps"
        case latencyStages = "latency_stages"
        case link
        case windowTrajectory = "window_trajectory"
        case stalls
        case jainFairness = "jain_fairness"
        case starvedStreams = "starved_streams"
        case streamBytesMin = "stream_bytes_min"
        case streamBytesMax = "stream_bytes_max"
        case longestSilenceSeconds = "longest_silence_seconds"
        case ledger, wire
        case framesSent = "frames_sent"
        case writes
        case cpuUserSeconds = "cpu_user_seconds"
        case cpuSystemSeconds = "cpu_system_seconds"
        case syscalls, wakeups
        case bytesCopied = "bytes_copied_by_side"
        case allocations, memory, options
        case intervalSeconds = "interval_seconds"
        case intervals, histograms
    }

    enum DerivedKeys: String, CodingKey {
        case frameOverheadRatio = "frame_overhead_ratio"
        case framesPerWrite = "frames_per_write"
        case bytesPerFrame = "bytes_per_frame"
        case cpuSeconds = "cpu_seconds"
        case cpuSecondsPerGiB = "cpu_seconds_per_gib"
        case cpuNanosecondsPerMessage = "cpu_nanoseconds_per_message"
        case syscallsPerMiB = "syscalls_per_mib"
        case syscallsPerMessage = "syscalls_per_message"
        case bytesCopied = "bytes_copied"
        case copiesPerPayloadByte = "copies_per_payload_byte"
        case allocationsPerMessage = "allocations_per_message"
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(repeatIndex, forKey: .repeatIndex)
        try container.encode(valid, forKey: .valid)
        try container.encode(invalidReasons, forKey: .invalidReasons)
        try container.encode(partial, forKey: .partial)
        try container.encode(startedAt, forKey: .startedAt)
        try container.encode(durationSeconds, forKey: .durationSeconds)
        try container.encode(payloadBytes, forKey: .payloadBytes)
        try container.encode(messages, forKey: .messages)
        try container.encode(failures, forKey: .failures)
        try container.encode(goodputBytesPerSecond, forKey: .goodputBytesPerSecond)
        try container.encode(goodputUpBytesPerSecond, forKey: .goodputUpBytesPerSecond)
        try container.encode(goodputDownBytesPerSecond, forKey: .goodputDownBytesPerSecond)
        try container.encode(messagesPerSecond, forKey: .messagesPerSecond)
        try container.encode(latency, forKey: .latency)
        try container.encode(service, forKey: .service)
        try container.encode(pacerLateness, forKey: .pacerLateness)
        try container.encode(connectSteps, forKey: .connectSteps)
        try container.encode(latencyStages, forKey: .latencyStages)
        try container.encode(link, forKey: .link)
        try container.encode(windowTrajectory, forKey: .windowTrajectory)
        try container.encode(stalls, forKey: .stalls)
        try container.encode(jainFairness, forKey: .jainFairness)
        try container.encode(starvedStreams, forKey: .starvedStreams)
        try container.encode(streamBytesMin, forKey: .streamBytesMin)
        try container.encode(streamBytesMax, forKey: .streamBytesMax)
        try container.encode(longestSilenceSeconds, forKey: .longestSilenceSeconds)
        try encodeCosts(to: encoder)
        try container.encode(memory, forKey: .memory)
        try container.encode(options, forKey: .options)
        try container.encode(intervalSeconds, forKey: .intervalSeconds)
        try container.encode(intervals, forKey: .intervals)
        try container.encode(histograms, forKey: .histograms)
    }

    private func encodeCosts(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        var derived = encoder.container(keyedBy: DerivedKeys.self)
        try container.encode(ledger, forKey: .ledger)
        try container.encode(wire, forKey: .wire)
        try derived.encode(frameOverheadRatio, forKey: .frameOverheadRatio)
        try container.encode(framesSent, forKey: .framesSent)
        try container.encode(writes, forKey: .writes)
        try derived.encode(framesPerWrite, forKey: .framesPerWrite)
        try derived.encode(bytesPerFrame, forKey: .bytesPerFrame)
        try derived.encode(cpuSeconds, forKey: .cpuSeconds)
        try container.encode(cpuUserSeconds, forKey: .cpuUserSeconds)
        try container.encode(cpuSystemSeconds, forKey: .cpuSystemSeconds)
        try derived.encode(cpuSecondsPerGiB, forKey: .cpuSecondsPerGiB)
        try derived.encode(cpuNanosecondsPerMessage, forKey: .cpuNanosecondsPerMessage)
        try container.encode(syscalls, forKey: .syscalls)
        try derived.encode(syscallsPerMiB, forKey: .syscallsPerMiB)
        try derived.encode(syscallsPerMessage, forKey: .syscallsPerMessage)
        try container.encode(wakeups, forKey: .wakeups)
        try derived.encode(bytesCopiedTotal, forKey: .bytesCopied)
        try container.encode(bytesCopied, forKey: .bytesCopied)
        try derived.encode(copiesPerPayloadByte, forKey: .copiesPerPayloadByte)
        try container.encode(allocations, forKey: .allocations)
        try derived.encode(allocationsPerMessage, forKey: .allocationsPerMessage)
    }
}
