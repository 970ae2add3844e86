import Gauge
import Testing

@Suite struct RunRecordTests {
    @Test func roundTrip() throws {
        let record = Samples.record()
        let json = try record.encodedJSON()
        let back = try RunRecord.decode(json, file: "r.json")
        #expect(back == record)
        let again = try back.encodedJSON()
        #expect(again == json)
    }
}
