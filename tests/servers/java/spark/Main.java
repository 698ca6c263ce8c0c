import org.apache.spark.sql.SparkSession;

/** Spark reads tables of a REST catalog and writes each to a folder: URI WAREHOUSE ENDPOINT FOLDER TABLE… */
public class Main {
  public static void main(String[] arguments) {
    String lake = "spark.sql.catalog.lake";
    SparkSession spark =
        SparkSession.builder()
            .master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
            .config("spark.sql.shuffle.partitions", "2")
            .config(lake, "org.apache.iceberg.spark.SparkCatalog")
            .config(lake + ".type", "rest")
            .config(lake + ".uri", arguments[0])
            .config(lake + ".warehouse", arguments[1])
            .config(lake + ".io-impl", "org.apache.iceberg.aws.s3.S3FileIO")
            .config(lake + ".s3.endpoint", arguments[2])
            .config(lake + ".s3.path-style-access", "true")
            .getOrCreate();
    for (int at = 4; at < arguments.length; at++) {
      spark.table("lake." + arguments[at]).write().parquet("file://" + arguments[3] + "/" + arguments[at]);
    }
    spark.stop();
  }
}
