import java.net.URL;

class JavaUrlConnection {
    public static void main(String[] args) throws Exception {
        try (var body = new URL(args[0]).openStream()) {
            System.out.println(new String(body.readAllBytes()));
        }
    }
}
